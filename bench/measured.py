"""One measurement in a process of its own, as `python -m bench` starts it: prints what it took as one JSON object.

python -m bench.measured decode|replay|steps|profiles FOLDER
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
from isal import igzip

from models.detectors import build
from models.engine import Engine
from models.event import Event
from models.pieces import pieces
from models.reader import EventReader
from models.record import decode_log_file
from models.settings import Settings
from streams.order import Merge, Once
from streams.replay import replay
from streams.sources.files import begins_at, find, inflated

SMALL_INTS: Final = range(-5, 257)  # of which CPython has one each
STEPS: Final = (
    "see when each file begins",
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
    spent_s = dict.fromkeys(STEPS, 0.0)
    last_s = time.process_time()

    def note(step: str) -> None:
        nonlocal last_s
        now_s = time.process_time()
        spent_s[step] += now_s - last_s
        last_s = now_s

    count, _ = _stepped(folder, note)
    return {"records": count, "steps_us": {step: took_s / count * 1e6 for step, took_s in spent_s.items()}}


def profiles(folder: str) -> dict[str, Any]:
    """Run the main job's steps, and weigh the profile of each entity: as it lives, and as it is stored."""
    count, engine = _stepped(folder, lambda _: None)
    kept = engine.behaviour.profiles.values()
    return {
        "records": count,
        "live_bytes": sorted(live_bytes(each, set()) for each in kept),
        "encoded_bytes": sorted(len(msgspec.msgpack.encode(each)) for each in kept),
    }


def live_bytes(thing: object, seen: set[int]) -> int:
    """Add up the objects that something is made of, each once; not what the interpreter has one of for all."""
    if id(thing) in seen or thing is None or isinstance(thing, bool | type) or thing == "":
        return 0
    if isinstance(thing, int) and thing in SMALL_INTS:
        return 0
    seen.add(id(thing))
    parts: Iterable[object] = ()
    if isinstance(thing, msgspec.Struct):
        parts = (getattr(thing, name) for name in thing.__struct_fields__)
    elif isinstance(thing, dict):
        parts = chain(thing.keys(), thing.values())
    elif isinstance(thing, list | tuple | set | frozenset):
        parts = thing
    return sys.getsizeof(thing) + sum(live_bytes(part, seen) for part in parts)


def _stepped(folder: str, note: Callable[[str], None]) -> tuple[int, Engine]:
    """Take all files through the steps, and tell of each step's end; gives how many records there were, and the engine."""
    sources, _ = find([folder])
    begins = sorted(((begins_at(source) or 0, source) for source in sources), key=lambda each: each[0])
    engine = Engine(build(Settings()))
    reader, once = EventReader(engine.asked_for), Once()
    merge: Merge[Event] = Merge()
    count = 0
    note("see when each file begins")
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
    return count, engine


def peak_mb() -> float:
    """Say how much memory this process held at most: of its own, where the system tells it from the one that began it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.partition("VmHWM:")[2].split(None, 1)[0]) / 1024


MEASUREMENTS: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "decode": decode, "replay": replayed, "steps": steps, "profiles": profiles,
}  # fmt: skip


def main() -> None:
    """Measure what is named, and print it."""
    name, folder = sys.argv[1:]
    if name != "decode":  # as replay does for itself
        gc.disable()
    before_s, started_s = time.process_time(), time.monotonic()
    found = MEASUREMENTS[name](folder)
    found["cpu_us"] = (time.process_time() - before_s) / found["records"] * 1e6
    found["wall_us"] = (time.monotonic() - started_s) / found["records"] * 1e6
    found["peak_mb"] = peak_mb()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
