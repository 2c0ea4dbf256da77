"""What learning and scoring an entity's behaviour costs, for each event of a trail: ``python -m bench.scoring``.

    python -m bench.scoring [--events 200000] [--days 60] [--seed 5]

Over weeks, unlike the main bench's three days: before habits are known well enough nothing is scored. Each function is
timed where it is called, by the process's CPU time; what timing itself takes is in the figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import models.desks.behaviour as desk
from bench import trail
from models import engine
from models.behaviour import routine
from models.detectors.behaviour.behaviour_anomaly import BehaviourAnomaly
from models.settings import Settings
from streams.replay import replay

BUDGET_US: Final = 0.4  # of scoring, for each event

ENTITIES: Final = 200


class Timed:
    """A function, and what it took so far."""

    def __init__(self, owner: Any, name: str) -> None:  # noqa: ANN401 - a module, or a class
        self.calls = 0
        self.took_ns = 0
        of: Callable[..., Any] = getattr(owner, name)

        def timed(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it takes and gives
            began_ns = time.process_time_ns()
            found = of(*given, **named)
            found = list(found) if isinstance(found, Iterator) else found
            self.took_ns += time.process_time_ns() - began_ns
            self.calls += 1
            return found

        setattr(owner, name, timed)


def main() -> None:
    """Make the trail, replay it, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="rolehawk-bench-") as folder:
        trail.write(Path(folder), asked.events, ENTITIES, asked.days, asked.seed)
        noting, closing = Timed(desk, "note"), Timed(desk, "close")
        odd, sweeping = Timed(routine, "surprise"), Timed(BehaviourAnomaly, "sweep")
        telling = Timed(engine, "opinion")
        events = replay([folder], Settings()).summary.events
    print(f"{events:,} events in {asked.days} days\n\n{'':44}{'us per event':>14}{'calls':>10}{'us per call':>14}")
    for label, parts in (
        ("habits: an event noted", (noting,)),
        ("habits: an hour learned, or kept apart", (closing,)),
        ("scoring: odd hours, when they are over", (odd, sweeping)),
        ("human or machine, when somebody asks", (telling,)),
    ):
        calls, took_us = sum(each.calls for each in parts), sum(each.took_ns for each in parts) / 1_000
        print(f"{label:44}{took_us / events:14.2f}{calls:10,}{took_us / max(calls, 1):14.1f}")
    scoring_us = (odd.took_ns + sweeping.took_ns) / 1_000 / events
    print(f"\nscoring: {scoring_us:.2f} of {BUDGET_US} us{'' if scoring_us <= BUDGET_US else ', MISSED'}")


if __name__ == "__main__":
    main()
