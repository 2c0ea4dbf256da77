"""An entity's habits: when it comes, how its calls follow one another, what it calls and from where. Bounded state.

An hour's calls are gathered first and join the habits when the hour is over and has been judged: so what was never seen
before stands out against what the entity was before, and what stands out too much is kept apart until it has aged. None
of it says who the entity is: no type, name, user agent or console flag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import log2, sqrt
from typing import Any, Final, TypeVar

from msgspec import Struct, field

from models.finding import Exhibits, Who

_Key = TypeVar("_Key", str, int)

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_H: Final = 168
BURST_GAP_S: Final = 1_800  # of silence, after which calls are a new burst
GAP_BINS: Final = 24  # of gaps between calls: 0 s, 1 s, 2-3 s, 4-7 s, ... , 48 days and more
PAIR_BINS: Final = 64  # of calls that follow one another, by hash
LENGTH_BINS: Final = 20  # of bursts' lengths, as gaps
MAX_APIS: Final = 40  # in detail; the least called goes first
MAX_PLACES: Final = 16  # networks; the least used goes first
MAX_CLIENTS: Final = 16
MAX_REGIONS: Final = 8
MAX_HOUR: Final = 64  # different calls, networks, clients each of one hour; further ones count among the others
MAX_NOTED: Final = 64  # calls of one hour that are looked at one by one; of further ones, what they are
MAX_APART: Final = 4  # hours kept apart until they have aged; the oldest goes first, unlearned
FULL: Final = 4_096  # calls in the counts from which on all are halved: what was long ago weighs less
SETTLED_HOURS: Final = 8  # of activity, before which it is not counted how often something new comes
FULL_BIN: Final = 255
OTHERS: Final = ""  # what stands for all that is not kept in detail

_READS: Final = (
    "Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Query", "Scan", "View", "Select", "Check",
    "Test", "Validate", "Simulate", "Preview", "Estimate", "Read", "Download", "Filter", "Detect", "Discover",
)  # fmt: skip


@lru_cache(maxsize=16_384)
def is_read(api_name: str) -> bool:
    """Say whether a call changes nothing, by its verb."""
    return api_name.startswith(_READS)


@lru_cache(maxsize=16_384)
def token(text: str | None) -> int:
    """Hash a text to 32 bits, the same in every process."""
    return int.from_bytes(hashlib.blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=4).digest())


class Hour(Struct):
    """What an entity did in one clock hour, UTC."""

    number: int  # hours since 1970
    events: int = 0
    errors: int = 0
    writes: int = 0
    apis: dict[str, int] = {}  # call -> times; at most MAX_HOUR and OTHERS
    places: dict[str, int] = {}  # network -> times
    clients: dict[int, int] = {}  # token of the user agent -> times
    regions: dict[str, int] = {}
    limit: int = 1 << 62  # so many calls are more than it is used to
    is_odd: bool = False  # whether anything in it was new, or more than usual
    exhibits: Exhibits = field(default_factory=Exhibits)  # what made it so
    who: Who | None = None  # who acted then, in which session
    session_id: str = ""

    @property
    def ends_at(self) -> int:
        """When it is over."""
        return (self.number + 1) * HOUR_S

    @property
    def of_week(self) -> int:
        """Which of the week's hours it is: 0 to 167, from Monday 00:00 UTC."""
        return (self.number + 72) % WEEK_H  # 1970 began on a Thursday


class Habits(Struct):
    """What an entity is used to do."""

    first_at: int = 0
    last_at: int = 0
    events: int = 0  # of all time
    counted: int = 0  # in the counts below, halved with them
    errors: int = 0
    writes: int = 0
    repeats: int = 0  # the same call again within 2 s
    place_changes: int = 0
    client_changes: int = 0
    hours: bytearray = field(
        default_factory=lambda: bytearray(WEEK_H)
    )  # in how many weeks, about, it came in that hour
    active_hours: int = 0
    active_days: int = 0
    last_day: int = -1
    minutes: bytearray = field(default_factory=lambda: bytearray(60))  # in which minute its bursts began
    gaps: bytearray = field(default_factory=lambda: bytearray(GAP_BINS))
    pairs: bytearray = field(default_factory=lambda: bytearray(PAIR_BINS))
    bursts: int = 0
    burst_at: int = 0  # when the burst under way began
    lengths: bytearray = field(default_factory=lambda: bytearray(LENGTH_BINS))
    apis: dict[str, int] = {}
    places: dict[str, int] = {}
    clients: dict[int, int] = {}
    regions: dict[str, int] = {}
    volume: float = 0.0  # sum over its hours of log2 of their calls, and of the squares
    volume_squared: float = 0.0
    new_hours: dict[str, int] = {}  # call, network, client, region -> hours that brought a new one
    new_things: dict[str, int] = {}  # and how many new ones in all
    hour: Hour | None = None  # under way
    apart: list[Hour] = []  # too strange to be learned yet, the oldest first; at most MAX_APART
    last_api: int = 0
    last_place: str = OTHERS
    last_client: int = 0

    def note(self, at: int, api: str, name: str, place: str, client: int, region: str, *, is_error: bool) -> bool:
        """Gather one call, in the order of time; ``api`` is the call with its service, ``name`` without.

        Says whether it was something that its hour had not seen yet.
        """
        hour = self.hour
        if hour is None or at >= hour.ends_at:
            hour = self._begin(at)
        hour.events += 1
        self.events += 1
        if hour.events > MAX_NOTED and api in hour.apis:
            self.last_at = max(at, self.last_at)
            return False
        gap_s = at - self.last_at if self.counted else BURST_GAP_S
        called = token(api)
        if gap_s > 0:
            _bump(self.gaps, min(gap_s.bit_length(), GAP_BINS - 1))
            if gap_s >= BURST_GAP_S:
                self._begin_burst(at)
            self.last_at = at
        else:
            _bump(self.gaps, 0)
        if called == self.last_api and gap_s <= 2:
            self.repeats += 1
        _bump(self.pairs, (self.last_api * 31 + called) % PAIR_BINS)
        self.last_api = called
        self.counted += 1
        if is_error:
            hour.errors += 1
        if not is_read(name):
            hour.writes += 1
        is_new = api not in hour.apis or region not in hour.regions
        _count(hour.apis, api)
        if place != self.last_place or not hour.places:
            is_new |= self._come_from(hour, place)
        if client != self.last_client or not hour.clients:
            is_new |= self._come_with(hour, client)
        if region not in hour.regions and len(hour.regions) < MAX_HOUR:
            hour.regions[region] = 1
        return is_new

    def learn(self, hour: Hour) -> None:
        """Let an hour that was judged join the habits."""
        self.errors += hour.errors
        self.writes += hour.writes
        volume = log2(max(hour.events, 1))
        self.volume += volume
        self.volume_squared += volume * volume
        if self.active_hours >= SETTLED_HOURS:  # at first all is new, which says nothing
            self._note_new("call", hour.apis, self.apis)
            self._note_new("network", hour.places, self.places)
            self._note_new("client", hour.clients, self.clients)
            self._note_new("region", hour.regions, self.regions)
        self.active_hours += 1
        _bump(self.hours, hour.of_week)
        day = hour.number // 24
        if day != self.last_day:
            self.last_day = day
            self.active_days += 1
        _add(self.apis, hour.apis, MAX_APIS)
        _add(self.places, hour.places, MAX_PLACES)
        _add(self.clients, hour.clients, MAX_CLIENTS)
        _add(self.regions, hour.regions, MAX_REGIONS)
        if self.counted >= FULL:
            self._halve()

    def novelty(self, what: str) -> tuple[int, int]:
        """Say in how many hours something new of a kind came, and how much in all."""
        return self.new_hours.get(what, 0), self.new_things.get(what, 0)

    def _note_new(self, what: str, came: Iterable[str | int], known: Mapping[Any, int]) -> None:
        if count := sum(each not in known for each in came):
            self.new_hours[what] = self.new_hours.get(what, 0) + 1
            self.new_things[what] = self.new_things.get(what, 0) + count

    def usual_volume(self) -> tuple[float, float]:
        """Say how many calls its hours have, as log2: the mean, and the spread, of at least one."""
        seen = max(self.active_hours, 1)
        mean = self.volume / seen
        return mean, max(sqrt(max(self.volume_squared / seen - mean * mean, 0.0)), 1.0)

    def keep_apart(self, hour: Hour) -> None:
        """Keep an hour apart that is too strange to be learned yet."""
        self.apart.append(hour)
        del self.apart[:-MAX_APART]

    def learn_aged(self, before: int) -> None:
        """Learn what was kept apart and has been over since a time."""
        while self.apart and self.apart[0].ends_at <= before:
            self.learn(self.apart.pop(0))

    def _begin(self, at: int) -> Hour:
        if not self.counted:
            self.first_at = self.last_at = at
        self.hour = hour = Hour(at // HOUR_S)
        return hour

    def _begin_burst(self, at: int) -> None:
        if self.bursts:
            length_s = self.last_at - self.burst_at
            _bump(self.lengths, min(length_s.bit_length(), LENGTH_BINS - 1))
        self.bursts += 1
        self.burst_at = at
        _bump(self.minutes, at // 60 % 60)

    def _come_from(self, hour: Hour, place: str) -> bool:
        is_new = place not in hour.places
        if self.last_place not in (OTHERS, place):
            self.place_changes += 1
        self.last_place = place
        _count(hour.places, place)
        return is_new

    def _come_with(self, hour: Hour, client: int) -> bool:
        is_new = client not in hour.clients
        if self.last_client and client != self.last_client:
            self.client_changes += 1
        self.last_client = client
        if not is_new or len(hour.clients) < MAX_HOUR:
            hour.clients[client] = hour.clients.get(client, 0) + 1
        return is_new

    def _halve(self) -> None:
        """Halve all counts; what was there once stays."""
        self.counted //= 2
        for name in ("errors", "writes", "repeats", "place_changes", "client_changes", "bursts"):
            setattr(self, name, getattr(self, name) // 2)
        for counts in (self.gaps, self.pairs, self.minutes, self.lengths):
            _halve_bins(counts)
        for kept in (self.apis, self.places, self.regions):
            _halve_all(kept)
        _halve_all(self.clients)


def _bump(bins: bytearray, place: int) -> None:
    """Count one in a bin of eight bits; when it is full all are halved, so that their shares stay."""
    if bins[place] == FULL_BIN:
        _halve_bins(bins)
    bins[place] += 1


def _halve_bins(bins: bytearray) -> None:
    bins[:] = bytes((each + 1) // 2 for each in bins)


def _count(known: dict[str, int], key: str) -> None:
    """Count one of an hour's, within its bound."""
    if key not in known and len(known) >= MAX_HOUR:
        key = OTHERS
    known[key] = known.get(key, 0) + 1


def _add(known: dict[_Key, int], more: Mapping[_Key, int], limit: int) -> None:
    """Add counts, within a bound: what was counted least goes."""
    for key, count in more.items():
        known[key] = known.get(key, 0) + count
    if len(known) > limit:
        for key in sorted(known, key=lambda each: (known[each], str(each)))[: len(known) - limit]:
            del known[key]


def _halve_all(counts: dict[_Key, int]) -> None:
    for key, count in counts.items():
        counts[key] = (count + 1) // 2


def shares(counts: Iterable[int]) -> list[float]:
    """Turn counts into shares of their sum, leaving out the empty ones."""
    kept = [each for each in counts if each > 0]
    total = sum(kept)
    return [each / total for each in kept]
