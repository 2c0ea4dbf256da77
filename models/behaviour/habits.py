"""An entity's habits: when it comes, how its calls follow one another, what it calls and from where. Bounded state.

An hour's calls are gathered first and join the habits when the hour is over and has been judged: so what was never seen
before stands out against what the entity was before, and what stands out too much is kept apart until it has aged. None
of it says who the entity is: no type, name, user agent or console flag.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from math import log2, sqrt
from typing import Final, TypeVar

from msgspec import Struct, field

from models.finding import Exhibits, Who

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_H: Final = 168
MONDAY_H: Final = 72  # from Monday to when 1970 began
BURST_GAP_S: Final = 1_800  # of silence, after which calls are a new burst
GAP_BINS: Final = 24  # of gaps between calls: 0 s, 1 s, 2-3 s, 4-7 s, ... , 48 days and more
PAIR_BINS: Final = 64  # of calls that follow one another, by hash
LENGTH_BINS: Final = 20  # of bursts' lengths, as gaps
MAX_APIS: Final = 40  # in detail; the least called goes first
MAX_PLACES: Final = 16  # networks; the least used goes first
MAX_CLIENTS: Final = 16
MAX_REGIONS: Final = 8
MAX_HOUR: Final = 64  # different calls, networks, clients each of one hour; further ones count among the others
MAX_NOTED: Final = 64  # calls of one hour that are looked at one by one; of further ones, what is new
MAX_APART: Final = 4  # hours kept apart until they have aged; further ones are not learned
FULL: Final = 4_096  # calls in the counts from which on all are halved: what was long ago weighs less
SETTLED_HOURS: Final = 8  # of activity, before which it is not counted how often something new comes
FULL_BIN: Final = 255
FAR: Final = 1.5  # spreads over the mean, from which on an hour has more calls than usual
OTHERS: Final = ""  # what stands for all that is not kept in detail

_READS: Final = (
    "Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Query", "Scan", "View", "Select", "Check",
    "Test", "Validate", "Simulate", "Preview", "Estimate", "Read", "Download", "Filter", "Detect", "Discover",
)  # fmt: skip


@lru_cache(maxsize=16_384)
def is_read(api: str) -> bool:
    """Say whether a call (`Api.key`) changes nothing, by its verb; `OTHERS` counts as such."""
    return api == OTHERS or api.rpartition(":")[2].startswith(_READS)


@lru_cache(maxsize=16_384)
def token(text: str | None) -> int:
    """Hash a text to 32 bits, the same in every process."""
    return int.from_bytes(hashlib.blake2b((text or "").encode("utf-8", "surrogatepass"), digest_size=4).digest())


_Seen = TypeVar("_Seen", str, int)
# What is taken of a call: when, `Api.key`, `Api.slot`, network, token of the client, region, whether it failed.
Noted = tuple[int, str, int, str, int, str, bool]


class Hour(Struct, array_like=True):
    """What an entity did in one clock hour, UTC."""

    ends_at: int
    events: int = 0
    errors: int = 0
    apis: dict[str, int] = {}  # call -> times; at most MAX_HOUR and OTHERS
    places: list[str] = []  # networks, in the order in which they came; at most MAX_HOUR
    clients: list[int] = []  # tokens of the clients
    regions: list[str] = []
    limit: int = 0  # so many calls are more than it is used to; 0 while that is not known
    exhibits: Exhibits | None = None  # what makes it odd: new, or more than usual
    who: Who | None = None  # who acted then, in which session
    session_id: str = ""

    @property
    def is_odd(self) -> bool:
        """Whether anything in it was new, or more than usual."""
        return self.exhibits is not None

    @property
    def number(self) -> int:
        """Which of the hours since 1970 it is."""
        return self.ends_at // HOUR_S - 1

    @property
    def of_week(self) -> int:
        """Which of the week's hours it is: 0 to 167, from Monday 00:00 UTC."""
        return (self.number + MONDAY_H) % WEEK_H

    @property
    def writes(self) -> int:
        """How many of its calls change something."""
        return sum(times for api, times in self.apis.items() if not is_read(api))


class Habits(Struct, array_like=True):
    """What an entity is used to do: what it called, and where it came from, as tokens."""

    first_at: int = 0
    last_at: int = 0
    events: int = 0  # of all hours learned
    counted: int = 0  # in the counts below, halved with them
    errors: int = 0
    writes: int = 0
    place_changes: int = 0
    client_changes: int = 0
    hours: bytearray = field(
        default_factory=lambda: bytearray(WEEK_H)
    )  # in how many weeks, about, it came in that hour
    active_hours: int = 0
    active_days: int = 0
    last_day: int = -1
    minutes: bytearray = field(default_factory=lambda: bytearray(60))  # in which minute its bursts began
    steps: bytearray = field(
        default_factory=lambda: bytearray(GAP_BINS + PAIR_BINS)
    )  # gaps and pairs, in one place: every call counts in both
    bursts: int = 0
    burst_at: int = 0  # when the burst under way began
    lengths: bytearray = field(default_factory=lambda: bytearray(LENGTH_BINS))
    apis: dict[int, int] = {}  # call -> times
    places: dict[int, int] = {}  # network -> hours in which it came from there
    clients: dict[int, int] = {}
    regions: dict[int, int] = {}
    volume: float = 0.0  # sum over its hours of log2 of their calls, and of the squares
    volume_squared: float = 0.0
    news: dict[str, tuple[int, int]] = {}  # call, network, client, region -> hours that brought new ones, and how many
    hour: Hour | None = None  # under way
    apart: list[Hour] = []  # too strange to be learned yet, the oldest first; at most MAX_APART
    last_slot: int = 0  # of the call before
    last_place: str = OTHERS
    last_client: int = 0

    @property
    def gaps(self) -> bytearray:
        """How many gaps between calls there were of each length, as GAP_BINS says."""
        return self.steps[:GAP_BINS]

    @property
    def pairs(self) -> bytearray:
        """How many pairs of calls, one after the other, fell into each of PAIR_BINS."""
        return self.steps[GAP_BINS:]

    def note(self, at: int, api: str, slot: int, place: str, client: int, region: str, is_error: bool) -> bool:
        """Gather one call, in the order of time.

        Says whether it was something that its hour had not seen yet. Every call comes by here: what can wait until the
        hour is over is done in `learn`.
        """
        hour = self.hour
        if hour is None or at >= hour.ends_at:
            hour = self._begin(at, place, client, region)
        hour.events = events = hour.events + 1
        apis = hour.apis
        times = apis.get(api, 0)
        if times and events > MAX_NOTED and place == self.last_place and client == self.last_client:
            self.last_at = max(at, self.last_at)
            return False
        is_new = not times
        if is_new and len(apis) >= MAX_HOUR:
            api, times = OTHERS, apis.get(OTHERS, 0)
        apis[api] = times + 1
        gap_s = at - self.last_at
        gap = 0
        if gap_s > 0:
            if gap_s >= BURST_GAP_S:
                self._begin_burst(at)
            self.last_at = at
            gap = gap_s.bit_length()
            if gap >= GAP_BINS:
                gap = GAP_BINS - 1
        steps = self.steps
        pair = GAP_BINS + (self.last_slot * 31 + slot) % PAIR_BINS
        if steps[gap] == FULL_BIN or steps[pair] == FULL_BIN:
            _halve_bins(steps)
        steps[gap] += 1
        steps[pair] += 1
        self.last_slot = slot
        if is_error:
            hour.errors += 1
        if place != self.last_place:
            is_new |= self._come_from(hour, place)
        if client != self.last_client:
            is_new |= self._come_with(hour, client)
        if region not in hour.regions:
            is_new |= _keep(hour.regions, region)
        return is_new

    def learn(self, hour: Hour) -> None:
        """Let an hour that was judged join the habits."""
        self.events += hour.events
        self.errors += hour.errors
        volume = log2(max(hour.events, 1))
        self.volume += volume
        self.volume_squared += volume * volume
        counted = new = 0
        known = self.apis
        for api, times in hour.apis.items():
            call = token(api)
            counted += times
            if not is_read(api):
                self.writes += times
            if call in known:
                known[call] += times
            else:
                known[call] = times
                new += 1
        self.counted += counted
        if new:
            self._note_new("call", new, known, MAX_APIS)
        self._join("network", map(token, hour.places), self.places, MAX_PLACES)
        self._join("client", hour.clients, self.clients, MAX_CLIENTS)
        self._join("region", map(token, hour.regions), self.regions, MAX_REGIONS)
        self.active_hours += 1
        number = hour.number
        _bump(self.hours, (number + MONDAY_H) % WEEK_H)
        day = number // 24
        if day != self.last_day:
            self.last_day = day
            self.active_days += 1
        if self.counted >= FULL:
            self._halve()

    def novelty(self, what: str) -> tuple[int, int]:
        """Say in how many hours something new of a kind came, and how much in all."""
        return self.news.get(what, (0, 0))

    def usual_volume(self) -> tuple[float, float]:
        """Say how many calls its hours have, as log2: the mean, and the spread, of at least one."""
        seen = max(self.active_hours, 1)
        mean = self.volume / seen
        return mean, max(sqrt(max(self.volume_squared / seen - mean * mean, 0.0)), 1.0)

    def keep_apart(self, hour: Hour) -> None:
        """Keep an hour apart that is too strange to be learned yet."""
        if len(self.apart) < MAX_APART:
            self.apart.append(hour)

    def learn_aged(self, before: int) -> None:
        """Learn what was kept apart and has been over since a time."""
        while self.apart and self.apart[0].ends_at <= before:
            self.learn(self.apart.pop(0))

    def _begin(self, at: int, place: str, client: int, region: str) -> Hour:
        if not self.first_at:
            self.first_at = at
            self.last_at = at - BURST_GAP_S
        limit = 0
        if self.active_hours >= SETTLED_HOURS:
            mean, spread = self.usual_volume()
            limit = int(2 ** (mean + FAR * spread)) + 1
        hour = self.hour = Hour(
            at - at % HOUR_S + HOUR_S, places=[place], clients=[client], regions=[region], limit=limit
        )
        if place != self.last_place:
            self._come_from(hour, place)
        if client != self.last_client:
            self._come_with(hour, client)
        return hour

    def _begin_burst(self, at: int) -> None:
        if self.bursts:
            length_s = self.last_at - self.burst_at
            _bump(self.lengths, min(length_s.bit_length(), LENGTH_BINS - 1))
        self.bursts += 1
        self.burst_at = at
        _bump(self.minutes, at // 60 % 60)

    def _come_from(self, hour: Hour, place: str) -> bool:
        if self.last_place not in (OTHERS, place):
            self.place_changes += 1
        self.last_place = place
        return place not in hour.places and _keep(hour.places, place)

    def _come_with(self, hour: Hour, client: int) -> bool:
        if self.last_client not in (0, client):
            self.client_changes += 1
        self.last_client = client
        return client not in hour.clients and _keep(hour.clients, client)

    def _join(self, what: str, came: Iterable[int], known: dict[int, int], limit: int) -> None:
        """Count an hour for all that came in it."""
        new = 0
        for key in came:
            if key in known:
                known[key] += 1
            else:
                known[key] = 1
                new += 1
        if new:
            self._note_new(what, new, known, limit)

    def _note_new(self, what: str, new: int, known: dict[int, int], limit: int) -> None:
        """Note how much was new, once it is settled; and keep the bound: what was counted least goes."""
        if self.active_hours >= SETTLED_HOURS:  # at first all is new, which says nothing
            hours, things = self.novelty(what)
            self.news[what] = hours + 1, things + new
        if len(known) > limit:
            for key in sorted(known, key=lambda each: (known[each], each))[: len(known) - limit]:
                del known[key]

    def _halve(self) -> None:
        """Halve all counts; what was there once stays."""
        self.counted //= 2
        for name in ("errors", "writes", "place_changes", "client_changes", "bursts"):
            setattr(self, name, getattr(self, name) // 2)
        for counts in (self.steps, self.minutes, self.lengths):
            _halve_bins(counts)
        for known in (self.apis, self.places, self.clients, self.regions):
            for key, count in known.items():
                known[key] = (count + 1) // 2


def _keep(seen: list[_Seen], one: _Seen) -> bool:
    """Keep what an hour had not seen yet, within its bound; says that it was new."""
    if len(seen) < MAX_HOUR:
        seen.append(one)
    return True


def _bump(bins: bytearray, place: int) -> None:
    """Count one in a bin of eight bits; when it is full all are halved, so that their shares stay."""
    if bins[place] == FULL_BIN:
        _halve_bins(bins)
    bins[place] += 1


def _halve_bins(bins: bytearray) -> None:
    bins[:] = bytes((each + 1) // 2 for each in bins)


def shares(counts: Iterable[int]) -> list[float]:
    """Turn counts into shares of their sum, leaving out the empty ones."""
    kept = [each for each in counts if each > 0]
    total = sum(kept)
    return [each / total for each in kept]
