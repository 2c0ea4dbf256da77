"""PromQL that reads rolehawk's metrics, live ones and those of loaded history alike.

History has a sample here and there, so what stands is what was last seen within ``$__rate_interval``. A counter of
findings begins with the first one, which increase() does not see: what was not there before has grown from nothing.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = "[$__rate_interval]"


def selector(metric: str, matchers: str = "", *, by_account: bool = True) -> str:
    """Choose a metric's series, of the accounts chosen where it has them."""
    chosen = ",".join(filter(None, ('account=~"$account"' if by_account else "", matchers)))
    return f"{metric}{{{chosen}}}" if chosen else metric


def standing(metric: str, by: str = "", matchers: str = "", *, by_account: bool = True, ago: str = "") -> str:
    """Sum up a gauge over all instances, by labels."""
    offset = f" offset {ago}" if ago else ""
    return _sum(by, f"last_over_time({selector(metric, matchers, by_account=by_account)}{WINDOW}{offset})")


def grown(metric: str, by: str = "", matchers: str = "", *, window: str = "1d", by_account: bool = True) -> str:
    """Count by how much a counter has grown within a window, by labels."""
    series = selector(metric, matchers, by_account=by_account)
    new = f"last_over_time({series}{WINDOW}) unless last_over_time({series}[{window}] offset {window})"
    return _sum(by, f"({new}) or increase({series}[{window}])")


def rate(metric: str, by: str = "", matchers: str = "") -> str:
    """Give a counter's growth per second, by labels."""
    return _sum(by, f"rate({selector(metric, matchers, by_account=False)}{WINDOW})")


def share(part: str, whole: str) -> str:
    """Give what part of a whole something is, 0 to 1; nothing where there is no whole."""
    return f"{part} / ({whole} > 0)"


def _sum(by: str, series: str) -> str:
    return f"sum by ({by}) ({series})" if by else f"sum({series})"
