"""Which rolehawk this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed() -> str | None:
    """Say which version is installed, None where it runs from a folder."""
    try:
        return version("rolehawk")
    except PackageNotFoundError:
        return None
