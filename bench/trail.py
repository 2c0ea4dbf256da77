"""Makes the trail that the bench reads: a simulated organisation's ordinary life, in the layout and order of delivery.

    python -m bench.trail OUT_DIR --events 400000 --entities 2000 --days 3 --seed 1

The same arguments make the same bytes. People, scripts and AWS's own services come on top of the entities. With
``--grants N`` each change of a grant is made N times, each time of a role and a policy of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from models.grants.doors import DOOR_CALLS
from streams.sources.simulated.callers import Made
from streams.sources.simulated.delivery import Folder, deliver
from streams.sources.simulated.organisation import MIN_ENTITIES, Plan
from streams.sources.simulated.world import World

ACCOUNTS: Final = 6

_CALL = re.compile(r'"eventSource":"([^"]+)","eventName":"([^"]+)"')
# The organisation's own roles and policies, wherever a change names them; a policy of AWS's stays what it is.
_NAME = re.compile(r'("(?:roleName|policyName)":"[^"]+|"policyArn":"arn:aws:iam::[0-9]{12}:policy/[^"]+)"')


class Written(NamedTuple):
    """What a trail came to."""

    files: int
    records: int
    raw_bytes: int
    stored_bytes: int
    grant_changes: int  # calls that the grants desk reads as changes

    @property
    def record_bytes(self) -> float:
        """The average record's size before compression."""
        return self.raw_bytes / self.records


def write(folder: Path, count: int, entities: int, days: int, seed: int, grants: int = 1) -> Written:
    """Write a trail below `folder`; records come to 0.5 % more than `count`, by the duplicates.

    `entities` is how many roles machines have, at least 12. Each change of a grant is made `grants` times, which comes on
    top of `count`. Raises ValueError where there are fewer entities.
    """
    if entities < MIN_ENTITIES:
        raise ValueError(f"{entities} entities: at least {MIN_ENTITIES} are needed")
    world = World(Plan(seed=seed, events=count, days=days, accounts=ACCOUNTS, entities=entities))
    sink = Folder(folder, world.organisation)
    grant_changes = 0
    for arrival in deliver(_multiplied(world.events(), grants), world.organisation.rng("delivery")):
        grant_changes += _is_grant_change(arrival.text)
        sink.take(arrival)
    sink.close()
    return Written(sink.files, sink.records, sink.raw_bytes, sink.stored_bytes, grant_changes)


def _is_grant_change(text: str) -> bool:
    call = _CALL.search(text)
    return call is not None and ":".join(call.groups()) in DOOR_CALLS


def _multiplied(events: Iterable[Made], grants: int) -> Iterator[Made]:
    """Make each change of a grant so many times, under ids and names of its own."""
    for made in events:
        yield made
        if grants > 1 and _is_grant_change(made.text):
            for number in range(2, grants + 1):
                event_id = str(UUID(bytes=hashlib.sha256(f"{made.event_id}-{number}".encode()).digest()[:16]))
                text = _NAME.sub(rf'\1-{number}"', made.text.replace(made.event_id, event_id))
                yield made._replace(event_id=event_id, text=text)


def main() -> None:
    """Write a trail and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m bench.trail", description="Write a made-up trail to measure with.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--entities", type=int, default=2_000, help=f"roles of machines, at least {MIN_ENTITIES}")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grants", type=int, default=1, help="how many times each change of a grant is made")
    chosen = parser.parse_args()
    began_s = time.perf_counter()
    written = write(chosen.folder, chosen.events, chosen.entities, chosen.days, chosen.seed, chosen.grants)
    took_s = time.perf_counter() - began_s
    print(
        f"{written.records:,} records in {written.files:,} files: {written.raw_bytes / 1e6:,.0f} MB raw, "
        f"{written.stored_bytes / 1e6:,.0f} MB stored, {written.record_bytes:,.0f} bytes per record; "
        f"{took_s:.1f} s, {written.records / took_s:,.0f} records per second"
    )


if __name__ == "__main__":
    main()
