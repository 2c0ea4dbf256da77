"""Replay: trails in, findings and principals out. The main job."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, field

from models.engine import Principal
from models.finding import Finding
from models.settings import Settings


class Rejected(Struct):
    """PLACEHOLDER: comes from models.trail."""

    file: str
    record: int
    field: str
    reason: str
    content: bytes


class Summary(Struct, kw_only=True):
    """What a replay read, for the summary on stderr."""

    files: int = 0
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    repaired: int = 0  # read, with an odd value left out or made to fit
    digests: int = 0
    insights: int = 0
    first_at: int | None = None
    last_at: int | None = None
    elapsed_s: float = 0.0
    detector_errors: dict[str, int] = field(default_factory=dict)
    samples: list[Rejected] = field(default_factory=list)  # the first few rejected or repaired


class Result(Struct):
    """All that a replay found."""

    findings: list[Finding]
    principals: list[Principal]
    summary: Summary


def replay(
    paths: list[str],
    settings: Settings,
    *,
    read_since: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
) -> Result:
    """Read trails in event-time order, run all detectors, and give the state at the trail's end."""
    raise NotImplementedError
