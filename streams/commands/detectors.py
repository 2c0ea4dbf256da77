"""detectors: the catalogue, with the settings in force."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.options import SETTINGS_FILE, load_settings, output_options, settings_option
from streams.output import Output, say

if TYPE_CHECKING:
    from models.detector import Rule
    from models.settings import Settings


@click.command()
@output_options("detectors")
@settings_option
def detectors(form: str | None, output: Path | None, settings: Path | None) -> None:
    """List what can be detected.

    Table and JSON lines show the settings in force; markdown is docs/detectors.md, always with the defaults.
    """
    if form == "markdown":
        rules = catalogue(None)
    else:
        loaded, file = load_settings(settings)
        rules = catalogue(loaded, file)
    with ExitStack() as files:
        Output("detectors", form, output, files).write(rules)
    if form != "markdown":
        from models.grants.tables import action_table, managed_table  # noqa: PLC0415 - seldom asked for

        for what, source in (("actions", action_table()), ("policies", managed_table())):
            say(f"{what:<12}{source.source}, as of {source.date}")


def catalogue(settings: Settings | None, file: str = SETTINGS_FILE) -> list[Rule[Any]]:
    """List every detector as the settings have it, those that they turn off too."""
    from msgspec.structs import replace  # noqa: PLC0415 - with the engine, as below

    from models.detectors import build  # noqa: PLC0415
    from models.settings import Settings  # noqa: PLC0415

    settings = settings or Settings()
    enabled = {rule.detector.name for rule in build(settings, file)}
    all_on = replace(settings, detectors={name: {**each, "enabled": True} for name, each in settings.detectors.items()})
    return [
        replace(rule, tuning=replace(rule.tuning, enabled=rule.detector.name in enabled))
        for rule in build(all_on, file)
    ]
