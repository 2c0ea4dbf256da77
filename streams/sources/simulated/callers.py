"""Who makes calls and how a call becomes a record: a caller has credentials, an address, a client.

Filling in a record is the hot path: what is the same for all calls of a sort is rendered once (`_template`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Final, Literal, NamedTuple

from models.record import encode, iso
from streams.sources.simulated import shapes
from streams.sources.simulated.clients import Client, fixed_client
from streams.sources.simulated.shapes import GLOBAL_REGION, Call, Json

Class = Literal["human", "workload", "service", "agent", "unknown"]

MAX_TEMPLATES: Final = 8_192  # a full cache starts over
_MAX_MINUTES: Final = 100_000
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(slots=True)
class Principal:
    """Whoever acts or is assumed, and what it truly is."""

    arn: str  # as the product names it: without path, a service by its host name
    type: str
    class_: Class
    account: str | None
    platform: str  # what it runs on or comes by: ec2, lambda, github, identity-center, ...
    is_mixed: bool = False  # whether both kinds use it
    has_acted: bool = False


class Stream(NamedTuple):
    """Whose files a record lands in."""

    account: str
    region: str


class Made(NamedTuple):
    """One event as it was made: when (seconds since 1970, UTC), in whose files, its id, the record as JSON, and who acts."""

    at: int
    stream: Stream
    event_id: str
    text: str
    who: Principal | None


class Manner(NamedTuple):
    """How calls are made, as far as it shows in every record: see `shapes.template`."""

    direct: bool = True
    console: bool = False
    endpoint: bool = False


DIRECT: Final = Manner()


class _Template(NamedTuple):
    call: Call  # kept, so that its id stays its own
    text: str
    command: str


_templates: dict[tuple[int, Manner, bool, bool, bool], _Template] = {}
_minutes: dict[int, str] = {}
_SECONDS: Final = tuple(f":{second:02d}Z" for second in range(60))

# From key, creationDate and whether the record is of the old era.
Identify = Callable[[str, str, bool], Json]


class Caller:
    """Somebody with credentials at a place with a client; credentials are renewed, whoever it is stays."""

    __slots__ = (
        "_identity",
        "_is_old",
        "_made_with",
        "_regional",
        "_worldwide",
        "address",
        "client",
        "created_at",
        "fixed",
        "identify",
        "key",
        "life_s",
        "manner",
        "new_from",
        "prefix",
        "renew_at",
        "who",
    )

    def __init__(
        self,
        who: Principal | None,
        stream: Stream,
        identify: Identify,
        client: Client,
        address: str,
        *,
        new_from: float,
        manner: Manner = DIRECT,
        life_s: float = inf,
        key: str = "",
        **fixed: str,
    ) -> None:
        self.who = who
        self.identify = identify
        self.client = client
        self.address = address
        self.new_from = new_from  # the old era ends
        self.manner = manner
        self.life_s = life_s
        self.prefix = "AKIA" if life_s == inf else "ASIA"
        self.fixed = {"account": stream.account, "session": "", "actor": "", **fixed}
        self.key = key
        self.created_at = 0
        self.renew_at = -inf
        self._regional = stream
        self._worldwide = Stream(stream.account, GLOBAL_REGION)
        self._identity = ""
        self._is_old = False
        self._made_with: tuple[str, int, bool] | None = None

    @property
    def stream(self) -> Stream:
        """Whose files the calls of regional services land in."""
        return self._regional

    def renew(self, at: int, key_bits: int) -> str:
        """Take new credentials; answers the new key."""
        self.key = shapes.access_key(self.prefix, key_bits)
        self.created_at = at
        self.renew_at = at + self.life_s
        return self.key

    def take(self, key: str, created_at: int) -> Caller:
        """Take on credentials that were issued elsewhere."""
        self.key, self.created_at, self.renew_at = key, created_at, created_at + self.life_s
        return self

    def through(
        self, client: Client | None = None, address: str | None = None, *, manner: Manner | None = None
    ) -> Caller:
        """Say that the same credentials go on with another client, perhaps from another place."""
        other = Caller(
            self.who,
            self._regional,
            self.identify,
            client or self.client,
            address or self.address,
            new_from=self.new_from,
            manner=self.manner if manner is None else manner,
            life_s=self.life_s,
            **self.fixed,
        )
        return other.take(self.key, self.created_at)

    def call(
        self,
        rng: Random,
        at: int,
        call: Call,
        slots: Mapping[str, str] = _NOTHING,
        *,
        denied: bool = False,
    ) -> Made:
        """Make a call; `slots` fills what is the call's own."""
        is_old = at < self.new_from
        text, command = _template(call, self.manner, is_old, denied, "shared_id" in slots)[1:]
        if self._made_with != (self.key, self.created_at, is_old):
            self._made_with = (self.key, self.created_at, is_old)
            self._identity = encode(self.identify(self.key, instant(self.created_at), is_old)).decode()
        identity = self._identity
        if call.via is not None:
            identity = f'{identity[:-1]},"invokedBy":"{call.via}"}}'
        agent = self.client.old if is_old else self.client.new
        stream = self._worldwide if call.is_global else self._regional
        digits = f"{rng.getrandbits(320):080x}"
        event_id = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"
        return Made(
            at,
            stream,
            event_id,
            text
            % {
                "identity": identity,
                "agent": agent.replace("{command}", command) if "{" in agent else agent,
                "address": self.address,
                "region": stream.region,
                "number": int(digits[68:71], 16) % 1000,
                "hex": digits[64:],
                "time": instant(at),
                "event_id": event_id,
                "request_id": f"{digits[32:40]}-{digits[40:44]}-4{digits[45:48]}-b{digits[49:52]}-{digits[52:64]}",
                **self.fixed,
                **slots,
            },
            self.who,
        )


def _template(call: Call, manner: Manner, is_old: bool, is_denied: bool, is_shared: bool) -> _Template:
    key = (id(call), manner, is_old, is_denied, is_shared)
    found = _templates.get(key)
    if found is None:
        if len(_templates) >= MAX_TEMPLATES:
            _templates.clear()
        direct, console, endpoint = manner
        text = shapes.template(
            call, denied=is_denied, direct=direct, console=console, endpoint=endpoint, shared=is_shared, old=is_old
        )
        found = _templates[key] = _Template(call, text, call.command)
    return found


def instant(at: int) -> str:
    """Write seconds since 1970 as CloudTrail writes an instant; each minute is worked out once."""
    minute, second = divmod(at, 60)
    text = _minutes.get(minute)
    if text is None:
        if len(_minutes) >= _MAX_MINUTES:
            _minutes.clear()
        text = _minutes[minute] = iso(minute * 60)[:16]
    return text + _SECONDS[second]


def service_caller(who: Principal, stream: Stream, *, new_from: float, name: str) -> Caller:
    """Make an AWS service that calls in its own name."""
    return Caller(
        who,
        stream,
        lambda _key, _created, _is_old: shapes.service(who.arn),
        fixed_client(who.arn),
        who.arn,
        new_from=new_from,
        manner=Manner(direct=False),
        name=name,
    )
