"""One measurement in a process of its own, as `python -m bench` starts it: prints what it took as one JSON object.

python -m bench.measured decode|replay|steps FOLDER
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from isal import igzip

from models.detectors import build
from models.engine import Engine
from models.event import Event, EventReader
from models.record import decode_log_file
from models.settings import Settings
from models.trail import pieces
from streams.order import Merge, Once
from streams.replay import replay
from streams.sources.files import begins_at, find, inflated

STEPS: Final = (
    "decompress and cut",
    "typed decode",
    "read (who, client, facts)",
    "order",
    "duplicates",
    "desks",
    "free",
)


def decode(folder: str) -> dict[str, Any]:
    """Decompress and decode all files into the product's own types, one after the other, and nothing else."""
    count = 0
    for path in sorted(Path(folder).rglob("*.json.gz")):
        count += len(decode_log_file(igzip.decompress(path.read_bytes())).records)
    return {"records": count}


def replayed(folder: str) -> dict[str, Any]:
    """Run the main job: read, order, drop duplicates, judge, detect."""
    result = replay([folder], Settings())
    return {
        "records": result.summary.events + result.summary.duplicates,
        "entities": len(result.principals),
        "findings": len(result.findings),
    }


def steps(folder: str) -> dict[str, Any]:
    """Run the main job's steps one by one over the same data, and say what each took; the sum is a little more."""
    gc.disable()
    spent_s = dict.fromkeys(STEPS, 0.0)
    sources, _ = find([folder])
    begins = sorted(((begins_at(source) or 0, source) for source in sources), key=lambda each: each[0])
    engine = Engine(build(Settings()))
    reader, once = EventReader(engine.asked_for), Once()
    merge: Merge[Event] = Merge()
    count, last_s = 0, time.process_time()

    def note(step: str) -> None:
        nonlocal last_s
        now_s = time.process_time()
        spent_s[step] += now_s - last_s
        last_s = now_s

    for (_, source), (next_begins_at, _) in zip(begins, [*begins[1:], (1 << 62, sources[0])], strict=True):
        for piece in pieces(inflated(source)):
            note("decompress and cut")
            records = decode_log_file(piece).records
            note("typed decode")
            events = reader.read_all(records)
            count += len(events)
            note("read (who, client, facts)")
            merge.add(events)
            note("order")
            del events, records
            note("free")
        for released in merge.released(next_begins_at):
            note("order")
            unique = once.of(released)
            note("duplicates")
            engine.feed(unique)
            note("desks")
            del released, unique
            note("free")
    return {"records": count, "steps_us": {step: took_s / count * 1e6 for step, took_s in spent_s.items()}}


MEASUREMENTS: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "decode": decode, "replay": replayed, "steps": steps,
}  # fmt: skip


def main() -> None:
    """Measure what is named, and print it."""
    name, folder = sys.argv[1:]
    before_s, started_s = time.process_time(), time.monotonic()
    found = MEASUREMENTS[name](folder)
    found["cpu_us"] = (time.process_time() - before_s) / found["records"] * 1e6
    found["wall_us"] = (time.monotonic() - started_s) / found["records"] * 1e6
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main()
