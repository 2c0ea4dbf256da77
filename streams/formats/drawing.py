"""What is drawn for people, whatever the format: severities, names, states, and the page that they stand on.

Every string goes through `visible` and into a Text: nothing of the data is ever read as markup or obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.text import Text

from models.finding import Finding, Severity
from streams.terminal import Screen, visible

SHORT_ID: Final = 12  # characters of a finding's id where there is no room for all 32

_COMMAND: Final = re.compile(r" md/command#\S+")

# Sixteen colours, so that the terminal's own theme decides; always beside the spelled word.
SEVERITY_STYLES: Final = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}


def rendered(drawn: RenderableType, screen: Screen) -> Iterator[str]:
    """Draw a table, a tree or a page of them, without the blanks that rich leaves at the end of lines."""
    canvas = StringIO()
    console = Console(
        file=canvas,
        width=screen.width,
        force_terminal=screen.is_coloured,
        color_system="standard" if screen.is_coloured else None,
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(drawn)
    return (f"{line.rstrip(' ')}\n" for line in canvas.getvalue().split("\n")[:-1])


def stack(*lines: Text) -> Text:
    """Put lines one under another."""
    return Text("\n", end="").join(lines)


def badge(label: str) -> Text:
    """Show a severity in its colour, spelled out all the same."""
    return Text(label.upper(), SEVERITY_STYLES[Severity.parse(label).label])


def standing(finding: Finding) -> str:
    """Say in one word or two how a finding stands; a shadow one counts nowhere, so that is said first."""
    status = f"closed ({finding.close_reason})" if finding.close_reason else finding.status
    return f"shadow, {status}" if finding.stage == "shadow" else status


def involved(finding: Finding) -> list[str]:
    """Name who did it and, where that is somebody else, the origin; nothing where it is the entity itself."""
    actor, origin = finding.actor.arn, finding.actor.origin
    named = {origin: "origin", actor: "by"}  # where the two are the same, it is by whom
    return [
        f"{named[arn]} {short_name(arn, finding.account_id)}"
        for arn in dict.fromkeys((actor, origin))
        if arn is not None and arn != finding.entity.arn
    ]


def short_name(arn: str, account_id: str | None) -> str:
    """Shorten an ARN to its name, with its account where that is not the one at hand."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return visible(f"account {arn}" if arn == account_id else arn)
    _, partition, service, region, account, name = parts
    if service in ("iam", "sts"):
        name = name.removeprefix("assumed-role/")
    else:
        name = ":".join(part for part in (service, region, name) if part)
    foreign = f" in {account}" if account and account != account_id else ""
    return visible(f"{name}{foreign}" if partition == "aws" else f"{name}{foreign} ({partition})")


def client_name(user_agent: str) -> str:
    """Name a client: the AWS CLI writes each command into its name, and is one client all the same."""
    return visible(_COMMAND.sub("", user_agent))


def minute(instant: str) -> str:
    """Cut an instant to its minute."""
    return visible(instant[:16].replace("T", " "))


def second(instant: str) -> str:
    """Show an instant to its second."""
    return visible(instant.removesuffix("Z").replace("T", " "))


def short_id(finding: Finding) -> str:
    """Cut a finding's id to what tells it apart."""
    return visible(finding.finding_id[:SHORT_ID])


def counted(number: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def spelled(value: Any) -> str:  # noqa: ANN401 - whatever a detector saw
    """Write a value as people do: yes and no, lists with commas, none as a dash."""
    if value is None or value in ([], ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ("; " if isinstance(value[0], dict) else ", ").join(map(spelled, value))
    if isinstance(value, dict):
        return ", ".join(f"{visible(str(key)).replace('_', ' ')} {spelled(each)}" for key, each in value.items())
    return visible(str(value))
