"""HTML: one file that carries all it needs, for whoever investigates and for the ticket.

It loads nothing, asks no server, and says the same without its script, which only filters and sorts.
"""

from __future__ import annotations

from streams.formats.html.report import Report, explanations, ordered, reports

__all__ = ["Report", "explanations", "ordered", "reports"]
