"""Compares the records that are simulated with recorded ones: which fields they have, how large they are, what is asked.

    python -m bench.compare_shapes FOLDER -o docs/simulated-shapes.md

FOLDER holds recorded trails in any form that rolehawk reads, in sub-folders or files by their kind. Nothing of a single
recorded event gets into the report: shares and sizes only, and names of fields and calls that AWS documents.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from models.pieces import pieces
from streams.sources.files import find, inflated
from streams.sources.simulated.organisation import START_OLD, Era, Plan
from streams.sources.simulated.stories import fitting
from streams.sources.simulated.world import World

Json = dict[str, Any]

SEEDS: Final = (101, 102, 103)
EVENTS: Final = 20_000  # of each simulated trail
DAYS: Final = 14
MIN_SHARE: Final = 0.005  # of recorded or simulated records: fields and calls seldom seen are left out
TOP_CALLS: Final = 12
# What AWS documents of a record; any other field of a recorded one is left out of the report.
FIELDS: Final = (
    "eventVersion", "userIdentity", "userIdentity.type", "userIdentity.principalId", "userIdentity.arn", "userIdentity.accountId",
    "userIdentity.accessKeyId", "userIdentity.userName", "userIdentity.invokedBy", "userIdentity.identityProvider",
    "userIdentity.sessionContext", "userIdentity.sessionContext.sessionIssuer", "userIdentity.sessionContext.attributes",
    "userIdentity.sessionContext.webIdFederationData", "userIdentity.sessionContext.sourceIdentity",
    "userIdentity.sessionContext.ec2RoleDelivery", "userIdentity.inScopeOf", "userIdentity.onBehalfOf", "eventTime", "eventSource",
    "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode", "errorMessage", "requestParameters", "responseElements",
    "additionalEventData", "requestID", "eventID", "readOnly", "resources", "eventType", "apiVersion", "managementEvent",
    "recipientAccountId", "serviceEventDetails", "sharedEventID", "vpcEndpointId", "vpcEndpointAccountId", "eventCategory",
    "addendum", "sessionCredentialFromConsole", "edgeDeviceDetails", "tlsDetails",
)  # fmt: skip


class Sample:
    """What is counted of one set of records."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.fields: Counter[str] = Counter()
        self.sizes: list[int] = []  # bytes of each record, compact
        self.calls: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        self.errors = 0
        self.reads = 0

    def add(self, record: Json) -> None:
        """Count one record; a field that is null counts as absent."""
        self.count += 1
        self.fields.update(_present(record))
        self.sizes.append(len(json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()))
        self.calls[
            f"{str(record.get('eventSource', '')).removesuffix('.amazonaws.com')}:{record.get('eventName')}"
        ] += 1
        identity = record.get("userIdentity")
        self.types[str(identity.get("type", "none")) if isinstance(identity, dict) else "none"] += 1
        self.errors += record.get("errorCode") is not None
        self.reads += str(record.get("readOnly")).lower() == "true"

    def share(self, count: int) -> float:
        """Say what part of the records so many are."""
        return count / self.count if self.count else 0.0

    def size(self, part: float) -> int:
        """Say below which size so large a part of the records lies; bytes."""
        ordered = sorted(self.sizes)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0

    @property
    def mean_bytes(self) -> float:
        """The average record's size."""
        return sum(self.sizes) / self.count if self.count else 0.0


def _present(record: Json) -> Iterator[str]:
    for field in FIELDS:
        value: Any = record
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            yield field


def recorded(folder: Path) -> list[Sample]:
    """Count the recorded trails below a folder: one sample for each of its entries that holds any."""
    samples = []
    for entry in sorted(folder.iterdir()):
        sample = Sample(entry.name.split(".")[0])
        for record in _records([str(entry)]):
            sample.add(record)
        if sample.count:
            samples.append(sample)
    return samples


def _records(paths: list[str]) -> Iterator[Json]:
    sources, _ = find(paths)
    for source in sources:
        content = b"".join(pieces(inflated(source)))
        yield from _unwrapped(_documents(content))


def _documents(content: bytes) -> Iterable[Any]:
    try:
        return [msgspec.json.decode(content)]
    except msgspec.DecodeError:
        pass
    try:
        return [msgspec.json.decode(line) for line in content.splitlines() if line.strip()]
    except msgspec.DecodeError:  # a README beside the trails
        return []


def _unwrapped(documents: Iterable[Any]) -> Iterator[Json]:
    for each in documents:
        if isinstance(each, list):
            yield from _unwrapped(each)
        elif isinstance(each, dict):
            inner = each.get("Records", each.get("detail"))
            if isinstance(inner, list | dict):
                yield from _unwrapped([inner])
            elif "eventName" in each:
                yield each


def simulated(era: Era) -> Sample:
    """Count simulated trails of one era, with all that can go wrong in them."""
    sample = Sample(f"simulated, {era}")
    for seed in SEEDS:
        plan = Plan(seed=seed, events=EVENTS, days=DAYS, era=era, start_at=START_OLD)
        stories = fitting(plan)
        for made in World(
            Plan(seed=seed, events=EVENTS, days=DAYS, era=era, start_at=START_OLD, stories=stories)
        ).events():
            sample.add(msgspec.json.decode(made.text))
    return sample


def report(samples: list[Sample]) -> Iterator[str]:
    """Write the report, line by line."""
    heads = " | ".join(sample.name for sample in samples)
    rule = "---:|" * len(samples)
    yield "# Simulated records beside recorded ones"
    yield ""
    yield "Made by `python -m bench.compare_shapes FOLDER -o docs/simulated-shapes.md`. Recorded trails are other people's:"
    yield "attacks tried out, a few accounts for minutes, records collected because they are rare. So shares need not agree;"
    yield "what a record is made of, and how large it is, should. The simulator is not tuned to them. A field that is null"
    yield f"counts as absent; what fewer than {MIN_SHARE:.1%} of all samples' records have is left out."
    yield ""
    yield f"Simulated: seeds {', '.join(map(str, SEEDS))}, {EVENTS:,} events each over {DAYS} days, with all stories."
    yield ""
    yield "## Size and mix"
    yield ""
    yield f"| | {heads} |"
    yield f"|---|{rule}"
    rows: dict[str, list[str]] = {
        "records": [f"{each.count:,}" for each in samples],
        "bytes, mean": [f"{each.mean_bytes:,.0f}" for each in samples],
        **{
            f"bytes, {name}": [f"{each.size(part):,}" for each in samples]
            for name, part in (
                ("10 % are below", 0.1),
                ("median", 0.5),
                ("90 % are below", 0.9),
                ("99 % are below", 0.99),
            )
        },
        "with errorCode": [f"{each.share(each.errors):.1%}" for each in samples],
        "readOnly": [f"{each.share(each.reads):.1%}" for each in samples],
        "different calls": [f"{len(each.calls):,}" for each in samples],
    }
    for name, values in rows.items():
        yield f"| {name} | {' | '.join(values)} |"
    yield ""
    yield "## Who calls"
    yield ""
    yield f"| userIdentity.type | {heads} |"
    yield f"|---|{rule}"
    for kind in sorted({kind for each in samples for kind in each.types}):
        yield f"| {kind} | {' | '.join(f'{each.share(each.types[kind]):.1%}' for each in samples)} |"
    yield ""
    yield "## Fields"
    yield ""
    yield f"| field | {heads} |"
    yield f"|---|{rule}"
    for field in FIELDS:
        shares = [each.share(each.fields[field]) for each in samples]
        if max(shares) >= MIN_SHARE:
            yield f"| `{field}` | {' | '.join(f'{share:.1%}' for share in shares)} |"
    yield ""
    yield "## Calls"
    for each in samples:
        listed = ", ".join(f"`{call}` {each.share(count):.1%}" for call, count in each.calls.most_common(TOP_CALLS))
        yield ""
        yield f"**{each.name}**: {listed}"


def main() -> None:
    """Write the report where -o says, else to stdout."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare_shapes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="recorded trails")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    samples = [*recorded(chosen.folder), simulated("new"), simulated("old")]
    text = "\n".join(report(samples)) + "\n"
    if chosen.output is None:
        print(text, end="")
    else:
        chosen.output.write_text(text)


if __name__ == "__main__":
    main()
