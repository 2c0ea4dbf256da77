"""How fast replay is, and how much memory it takes, beside the bare typed decode of the same files.

    python -m bench [--events 400000] [--entities 2000] [--pairs 5] [--no-grants] [--no-growth]

Each measurement runs in a process of its own on one core. Decode and replay alternate, so that a machine whose speed
drifts slows down both; what is quoted is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench import trail
from bench.measured import STEPS

DAYS: Final = 3
SEED: Final = 1
ROOT: Final = Path(__file__).parents[1]
TARGET_RATIO: Final = 0.40
LIVE_BUDGET: Final = 8_000  # bytes of one entity's profile
ENCODED_BUDGET: Final = 2_000
GRANTS: Final = (1, 4, 16)  # how many times each change of a grant is made
GRANTS_EVENTS: Final = 100_000
GRANTS_PAIRS: Final = 3
GROWTH: Final = ((100_000, 2_000), (200_000, 2_000), (400_000, 2_000), (400_000, 500), (400_000, 10_000))


def measured(name: str, folder: Path) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measured", name, str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(folder: Path, pairs: int) -> None:
    """Measure decode and replay in turn, and print the medians and the ratio pair by pair."""
    ratios: list[float] = []
    decoded: list[dict[str, Any]] = []
    replayed: list[dict[str, Any]] = []
    for _ in range(pairs):
        decoded.append(measured("decode", folder))
        replayed.append(measured("replay", folder))
        ratios.append(decoded[-1]["cpu_us"] / replayed[-1]["cpu_us"])
    print(f"\n{'':28}{'us per event':>14}{'events per s':>14}{'peak MB':>10}")
    for label, runs in (("decompress, typed decode", decoded), ("replay", replayed)):
        cpu_us = median(run["cpu_us"] for run in runs)
        print(f"{label:28}{cpu_us:14.2f}{1e6 / cpu_us:14,.0f}{median(run['peak_mb'] for run in runs):10.0f}")
    print(f"\nreplay runs at {median(ratios):.0%} of the decode (pairs: {', '.join(f'{each:.0%}' for each in ratios)})")
    print(f"target: {TARGET_RATIO:.0%}, {'reached' if median(ratios) >= TARGET_RATIO else 'MISSED'}")


def split(folder: Path) -> None:
    """Print what each step takes."""
    found = measured("steps", folder)
    total_us = sum(found["steps_us"].values())
    print(f"\n{'step':28}{'us per event':>14}{'share':>14}")
    for step in STEPS:
        took_us = found["steps_us"][step]
        print(f"{step:28}{took_us:14.2f}{took_us / total_us:14.0%}")


def weigh(folder: Path) -> None:
    """Print how large the profiles of entities are, beside what is allowed."""
    found = measured("profiles", folder)
    print(
        f"\n{'bytes of a profile':28}{'mean':>10}{'median':>10}{'99 %':>10}{'largest':>10}{'budget':>10}{'within':>10}"
    )
    for label, sizes, budget in (
        ("live", found["live_bytes"], LIVE_BUDGET),
        ("encoded", found["encoded_bytes"], ENCODED_BUDGET),
    ):
        within = sum(size <= budget for size in sizes) / len(sizes)
        shown = (mean(sizes), median(sizes), sizes[len(sizes) * 99 // 100], sizes[-1], budget)
        print(f"{label:28}" + "".join(f"{size:10,.0f}" for size in shown) + f"{within:10.0%}")


def compare_grants(folder: Path, entities: int) -> None:
    """Print the ratio for trails with more and more changes of grants, which cost the grants desk far more than a read."""
    print(f"\n{'changes of grants':28}{'decode us':>14}{'replay us':>14}{'ratio':>10}{'findings':>10}")
    for grants in GRANTS:
        made = folder / f"grants-{grants}"
        written = trail.write(made, GRANTS_EVENTS, entities, DAYS, SEED, grants)
        pairs = [(measured("decode", made), measured("replay", made)) for _ in range(GRANTS_PAIRS)]
        decode_us, replay_us = (median(pair[side]["cpu_us"] for pair in pairs) for side in (0, 1))
        ratio = median(decoded["cpu_us"] / replayed["cpu_us"] for decoded, replayed in pairs)
        print(
            f"{written.grant_changes / written.records:<28.1%}{decode_us:14.2f}{replay_us:14.2f}{ratio:10.0%}"
            f"{pairs[0][1]['findings']:10,}",
            flush=True,
        )


def grow(folder: Path) -> None:
    """Print how time and memory grow with events and with entities."""
    print(f"\n{'events':>10}{'entities':>10}{'us per event':>14}{'peak MB':>10}{'findings':>10}")
    for events, entities in GROWTH:
        made = folder / f"{events}-{entities}"
        trail.write(made, events, entities, DAYS, SEED)
        found = measured("replay", made)
        print(
            f"{events:10,}{entities:10,}{found['cpu_us']:14.2f}{found['peak_mb']:10.0f}{found['findings']:10,}",
            flush=True,
        )


def main() -> None:
    """Make the trail, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--entities", type=int, default=2_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--no-grants", action="store_true")
    parser.add_argument("--no-growth", action="store_true")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # one core, and so have the processes it starts
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with TemporaryDirectory(prefix="rolehawk-bench-") as temporary:
        folder = Path(temporary)
        trail.write(folder / "main", given.events, given.entities, DAYS, SEED)
        size_mb = sum(path.stat().st_size for path in folder.rglob("*.json.gz")) / 1e6
        print(
            f"{given.events:,} events, {given.entities:,} entities, {DAYS:g} days, {size_mb:,.0f} MB of gzip; one core"
        )
        compare(folder / "main", given.pairs)
        split(folder / "main")
        weigh(folder / "main")
        if not given.no_grants:
            compare_grants(folder, given.entities)
        if not given.no_growth:
            grow(folder)


if __name__ == "__main__":
    main()
