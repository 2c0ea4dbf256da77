"""The life of a long-lived access key: made, used, idle, dormant, disabled, deleted; where and with what it is used.

A key is a facet of its owner, a user or root. What is kept of it are minima, maxima, sets and joined spans of event
time, so that no order of events and no duplicate changes what is known; its phase at an instant follows from them.
Source: IAM user guide, "Manage access keys for IAM users".
"""

from __future__ import annotations

from typing import Final, Literal, TypeVar

from msgspec import Struct

from models.finding import Evidence

# made: not used yet. active: in use. dormant: quiet for 90 days. disabled and deleted: by UpdateAccessKey, DeleteAccessKey.
Phase = Literal["made", "active", "dormant", "disabled", "deleted"]
Act = Literal["created", "enabled", "disabled", "deleted"]

DAY_S: Final = 86_400
DORMANT_DAYS: Final = 90
MEMORY_DAYS: Final = 180  # a network or client not met for so long is no longer known
SETTLING_S: Final = DAY_S  # what is known for less is still new: all that comes from it in that time is evidence
NEWS_S: Final = 3 * DAY_S  # until it was met over so long, all that comes from it is worth a look
ROAMING_DAYS: Final = 30
GAP_S: Final = 30 * DAY_S  # quiet that ends a season of use

NAMELESS: Final = "access-key-"  # and 1 or 2: the credential report gives no ids
MAX_KEYS: Final = 4  # of one owner, AWS allows two at a time; the deleted go first, then the longest quiet
MAX_NETWORKS: Final = 16  # of one key; those met within one day alone go first, the longest quiet before others
MAX_CLIENTS: Final = 8  # of one key; likewise
MAX_APIS: Final = 40  # of one key; one that calls more is taken to call anything
MAX_SEASONS: Final = 4  # of one key; the oldest goes first
UNKNOWN: Final = 1 << 62
ASSUMED: Final = -UNKNOWN  # the switch of a key that only an inventory tells of: when it was made so is not known
_TYPED: Final = frozenset({"cli", "cloudshell", "console", "browser", "agent"})  # families of clients
MAX_KEY_ID: Final = 128  # characters, as IAM's


class Span(Struct, gc=False, array_like=True):
    """From when to when something was seen."""

    first_at: int
    last_at: int

    def widen(self, at: int) -> None:
        """Take an instant in."""
        if at > self.last_at:
            self.last_at = at
        elif at < self.first_at:
            self.first_at = at

    def is_known(self, at: int) -> bool:
        """Say whether it had been known for a while, and met within memory."""
        return at - self.first_at >= SETTLING_S and at - self.last_at <= MEMORY_DAYS * DAY_S

    def is_familiar(self, at: int) -> bool:
        """Say whether it was met over days, and within memory: no use from there is worth a look."""
        return self.last_at - self.first_at >= NEWS_S and at - self.last_at <= MEMORY_DAYS * DAY_S

    @property
    def is_passing(self) -> bool:
        """Whether it was met within one day alone."""
        return self.last_at - self.first_at < SETTLING_S


class Place(Span, gc=False, array_like=True):
    """A network from which a key is used, and the installation that last did so."""

    installation: str = ""


class KeyAct(Struct, frozen=True):
    """What is done to a key: when, and by whom."""

    key_id: str
    act: Act
    at: int
    by: str | None = None  # the actor as AWS writes it


class KeyRow(Struct, frozen=True):
    """What an inventory says of a key."""

    owner: str  # ARN
    key_id: str
    is_active: bool
    created_at: int | None
    last_used_at: int | None = None


class Key(Struct, omit_defaults=True):
    """One long-lived key, as far as its life is known."""

    id: str
    first_sign_at: int = UNKNOWN  # whatever it was: the key is at least so old
    first_event: Evidence | None = None  # with it, or done to it
    first_event_at: int = UNKNOWN
    created_at: int | None = None  # exact
    created_by: str | None = None
    created_from: str | None = None  # network
    created_with: str | None = None  # kind of client
    switched_at: int = ASSUMED  # when it was last enabled or disabled
    is_active: bool = True
    deleted_at: int | None = None
    first_used_at: int = UNKNOWN
    first_used_from: str | None = None  # network
    seasons: list[Span] = []  # of use, apart by over GAP_S, in order; at most MAX_SEASONS
    networks: dict[str, Place] = {}  # by name; at most MAX_NETWORKS
    clients: dict[str, Span] = {}  # by kind; at most MAX_CLIENTS
    hours: dict[int, int] = {}  # hour of the day, UTC -> when it was first used in it; at most 24
    apis: dict[str, int] = {}  # "source:name" -> when it was first called; at most MAX_APIS
    has_many_apis: bool = False  # it called more than MAX_APIS, which are no longer listed

    @property
    def is_nameless(self) -> bool:
        """Whether only the credential report tells of it, which gives no ids."""
        return self.id.startswith(NAMELESS)

    @property
    def last_used_at(self) -> int | None:
        """When it was last used."""
        return self.seasons[-1].last_at if self.seasons else None

    @property
    def off_at(self) -> int | None:
        """Since when it should no longer work; None where it works, or nobody was seen to turn it off."""
        ends = [] if self.is_active or self.switched_at == ASSUMED else [self.switched_at]
        return min([*ends, self.deleted_at] if self.deleted_at is not None else ends, default=None)

    def phase(self, at: int) -> Phase:
        """Say which phase of its life the key is in, as far as is known."""
        if self.deleted_at is not None and self.deleted_at <= at:
            return "deleted"
        if not self.is_active and self.switched_at <= at:
            return "disabled"
        used_at = self.last_used_at
        if used_at is None:
            return "made"
        return "dormant" if at - used_at > DORMANT_DAYS * DAY_S else "active"

    def age_days(self, at: int) -> tuple[int, bool]:
        """Say how old the key is, and whether that is exact; else it is at least so old."""
        if self.created_at is not None:
            return max(0, at - self.created_at) // DAY_S, True
        return max(0, at - self.first_sign_at) // DAY_S, False

    def history_days(self, at: int) -> int:
        """Say for how long its use has been watched."""
        return max(0, at - self.first_used_at) // DAY_S

    def is_typed_with(self, before_at: int = UNKNOWN) -> bool:
        """Say whether a client that people work with was seen, before a time if one is given: its holder may be a person."""
        return any(
            client.partition("/")[0] in _TYPED and span.first_at < before_at for client, span in self.clients.items()
        )

    def arrivals(self, at: int) -> list[str]:
        """List the networks first met in the last ROAMING_DAYS, but for what its first day of use and the last one brought.

        Where there were more than are kept, those of the last day count too: they have pushed the others out.
        """
        begins = max(at - ROAMING_DAYS * DAY_S, self.first_used_at + SETTLING_S)
        ends = at if len(self.networks) == MAX_NETWORKS else at - SETTLING_S
        return [name for name, place in self.networks.items() if begins < place.first_at <= ends]

    def is_news(self, at: int, network: str | None, client: str | None) -> bool:
        """Say whether a use is worth a look: from what is new to the key, after a long time, or of one that is off."""
        if not self.seasons or self.deleted_at is not None or not self.is_active:
            return True
        season = self.seasons[-1]
        if at - season.last_at > GAP_S or at - season.first_at < SETTLING_S:
            return True
        if network is not None and ((place := self.networks.get(network)) is None or not place.is_familiar(at)):
            return True
        return client is not None and ((known := self.clients.get(client)) is None or not known.is_familiar(at))

    def learn_use(self, at: int, api: str, network: str | None, client: str | None, installation: str = "") -> None:
        """Take in one use, denied or not; of what an AWS service does for its holder there is no network or client."""
        if at < self.first_used_at:
            self.first_used_at, self.first_used_from = at, network
        if at < self.first_sign_at:
            self.first_sign_at = at
        if not self.is_active and self.switched_at == ASSUMED:
            self.is_active = (
                True  # of calls with a key that is off hardly one is recorded: the inventory is of another day
            )
        seasons = self.seasons
        if seasons and seasons[-1].first_at <= at <= seasons[-1].last_at + GAP_S:
            seasons[-1].widen(at)
        else:
            self._join(Span(at, at))
        if network is not None:
            place = self.networks.get(network)
            if place is None:
                place = self.networks[network] = Place(at, at, installation)
                _bound(self.networks, MAX_NETWORKS)
            elif (at, installation) > (place.last_at, place.installation):
                place.installation = installation
            place.widen(at)
        if client is not None:
            if (span := self.clients.get(client)) is not None:
                span.widen(at)
            else:
                self.clients[client] = Span(at, at)
                _bound(self.clients, MAX_CLIENTS)
        self._learn_habits(at, api)

    def learn_act(self, act: KeyAct, network: str | None, client: str | None = None) -> None:
        """Take in that it was made, switched or deleted; the newest switch counts, of two in one second the off."""
        at = act.at
        self.first_sign_at = min(self.first_sign_at, at)
        match act.act:
            case "created":
                self.created_at = at if self.created_at is None else min(at, self.created_at)
                if self.created_by is None:  # a key is made once
                    self.created_by, self.created_from, self.created_with = act.by, network, client
            case "deleted":
                self.deleted_at = at if self.deleted_at is None else min(at, self.deleted_at)
            case _:
                if (at, act.act == "disabled") > (self.switched_at, not self.is_active):
                    self.switched_at, self.is_active = at, act.act == "enabled"

    def learn_row(self, row: KeyRow, holds_at: int) -> None:
        """Take in what an inventory says, as of an instant; what the trail shows of a switch is the newer word."""
        if row.created_at is not None:
            self.created_at = row.created_at if self.created_at is None else min(row.created_at, self.created_at)
            self.first_sign_at = min(self.first_sign_at, row.created_at)
        self.first_sign_at = min(self.first_sign_at, holds_at)
        if row.last_used_at is not None and row.last_used_at <= holds_at:
            self._join(Span(row.last_used_at, row.last_used_at))
        if self.switched_at == ASSUMED:
            self.is_active = row.is_active

    def _learn_habits(self, at: int, api: str) -> None:
        hour = at // 3600 % 24
        if at < self.hours.get(hour, UNKNOWN):
            self.hours[hour] = at
        if not self.has_many_apis and at < self.apis.get(api, UNKNOWN):
            self.apis[api] = at
            if len(self.apis) > MAX_APIS:
                self.apis, self.has_many_apis = {}, True

    def _join(self, season: Span) -> None:
        """Join a season to those that it lies within GAP_S of."""
        joined: list[Span] = []
        for each in sorted([*self.seasons, season], key=lambda each: each.first_at):
            if joined and each.first_at - joined[-1].last_at <= GAP_S:
                joined[-1] = Span(joined[-1].first_at, max(joined[-1].last_at, each.last_at))
            else:
                joined.append(each)
        self.seasons = joined[-MAX_SEASONS:]


SpanT = TypeVar("SpanT", bound=Span)
Keys = dict[str, Key]  # an owner's keys by id, at most MAX_KEYS


def key_of(keys: Keys, key_id: str) -> Key:
    """Find or make an owner's key."""
    key_id = key_id[:MAX_KEY_ID]
    key = keys.get(key_id)
    if key is None:
        key = keys[key_id] = Key(key_id)
        if len(keys) > MAX_KEYS:
            others = (each for each in keys.values() if each is not key)
            del keys[
                min(
                    others, key=lambda each: (each.deleted_at is None, each.last_used_at or each.first_sign_at, each.id)
                ).id
            ]
    return key


def nameless(keys: Keys) -> Key | None:
    """Find the key that only the credential report tells of, and that one with an unknown id must be; None in doubt."""
    found = [key for key in keys.values() if key.is_nameless and key.is_active]
    return found[0] if len(found) == 1 else None


def claim(keys: Keys, key_id: str) -> Key:
    """Find or make the key that is used: one of unknown id may be the one that the credential report told of."""
    if key_id not in keys and (known := nameless(keys)) is not None:
        del keys[known.id]
        known.id = key_id[:MAX_KEY_ID]
        keys[known.id] = known
        return known
    return key_of(keys, key_id)


def working(keys: Keys, at: int) -> list[Key]:
    """List the keys that work at an instant, by id."""
    return [key for _, key in sorted(keys.items()) if key.phase(at) not in ("disabled", "deleted")]


def _bound(spans: dict[str, SpanT], bound: int) -> None:
    if len(spans) > bound:
        del spans[min(spans, key=lambda each: (not spans[each].is_passing, spans[each].last_at, each))]
