"""Makes the trail that the bench reads: a simulated organisation's ordinary life, in the layout and order of delivery.

    python -m bench.trail OUT_DIR --events 400000 --entities 2000 --days 3 --seed 1

The same arguments make the same bytes. People, scripts and AWS's own services come on top of the entities.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final, NamedTuple

from streams.simulate import simulate
from streams.sources.simulated.delivery import Folder
from streams.sources.simulated.organisation import MIN_ENTITIES, Plan
from streams.sources.simulated.world import World

ACCOUNTS: Final = 6


class Written(NamedTuple):
    """What a trail came to."""

    files: int
    records: int
    raw_bytes: int
    stored_bytes: int

    @property
    def record_bytes(self) -> float:
        """The average record's size before compression."""
        return self.raw_bytes / self.records


def write(folder: Path, count: int, entities: int, days: int, seed: int) -> Written:
    """Write a trail below `folder`; records come to 0.5 % more than `count`, by the duplicates.

    `entities` is how many roles machines have, at least 12. Raises ValueError where there are fewer.
    """
    if entities < MIN_ENTITIES:
        raise ValueError(f"{entities} entities: at least {MIN_ENTITIES} are needed")
    world = World(Plan(seed=seed, events=count, days=days, accounts=ACCOUNTS, entities=entities))
    sink = Folder(folder, world.organisation)
    simulate(world, sink)
    return Written(sink.files, sink.records, sink.raw_bytes, sink.stored_bytes)


def main() -> None:
    """Write a trail and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m bench.trail", description="Write a made-up trail to measure with.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--entities", type=int, default=2_000, help=f"roles of machines, at least {MIN_ENTITIES}")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began_s = time.perf_counter()
    written = write(chosen.folder, chosen.events, chosen.entities, chosen.days, chosen.seed)
    took_s = time.perf_counter() - began_s
    print(
        f"{written.records:,} records in {written.files:,} files: {written.raw_bytes / 1e6:,.0f} MB raw, "
        f"{written.stored_bytes / 1e6:,.0f} MB stored, {written.record_bytes:,.0f} bytes per record; "
        f"{took_s:.1f} s, {written.records / took_s:,.0f} records per second"
    )


if __name__ == "__main__":
    main()
