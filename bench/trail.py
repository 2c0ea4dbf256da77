"""Makes the trail that the bench reads: a busy organisation's, seeded, in the layout and order of real delivery.

    python -m bench.trail OUT_DIR --events 400000 --entities 2000 --days 3 --seed 1

Gzip files of 5,000 records each, one series of them per account and region, so that files overlap in time as they do
in life. The same arguments make the same records in the same files.
"""

from __future__ import annotations

import argparse
import heapq
import json
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import inf
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from isal import igzip

from models.record import iso
from streams.sources.simulated import calls, shapes
from streams.sources.simulated.shapes import GLOBAL_REGION, Call, Json

ACCOUNTS: Final = ("111122223333", "222233334444", "333344445555", "444455556666", "555566667777")
REGIONS: Final = ("eu-west-1", GLOBAL_REGION)
START: Final = 1_772_409_600  # 2026-03-02T00:00:00Z, a Monday
HOUR: Final = 3_600  # seconds

RECORDS_PER_FILE: Final = 5_000
DUPLICATES: Final = 0.005  # share of records delivered twice
LATE: Final = 0.002  # share of records delivered 15 to 45 minutes late; the others come within 15
DENIALS: Final = 0.02  # share of calls refused
SIGN_INS: Final = 0.02  # share of people's events
FAILED_SIGN_INS: Final = 0.1  # share of IAM users' sign-ins

# Share of the events, as a day's average. An `assume` is a service's AssumeRole of a workload's role.
MIX: Final = {
    "workload": 0.62,
    "assume": 0.15,
    "service": 0.04,
    "linked": 0.04,
    "person": 0.10,
    "key": 0.04,
    "deployer": 0.01,
}
OFFICE_HOURS: Final = range(7, 18)  # UTC; people are eight times as busy then
PEOPLE_BY_DAY: Final = 1.9  # times their share
PEOPLE_BY_NIGHT: Final = 0.24
# Share of the entities; the rest are workloads.
POPULATION: Final = {"linked": 0.03, "person": 0.10, "key": 0.06, "deployer": 0.03}
MIN_ENTITIES: Final = 10

TOKEN_CHARACTERS: Final = 200  # of an issued session token (real: 300 and more), after the word that tells it from one
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TOKEN_POOL: Final = 65_536  # characters that tokens are cut from

_NAMES: Final = ("orders", "billing", "media", "search", "ledger", "catalog", "mailer", "reports", "ingest", "pricing")
_PUBLIC: Final = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737


class Stream(NamedTuple):
    """Whose files a record lands in."""

    account: str
    region: str


class Made(NamedTuple):
    """One event as it was made: when, in whose files, and the record."""

    at: int
    stream: Stream
    text: str


class Rendered(NamedTuple):
    """One call as callers of one kind make it."""

    granted: str
    denied: str
    agent: str
    is_global: bool


class Caller:
    """One session that goes on through the trail: its credentials are renewed, its calls are always the same few."""

    __slots__ = (
        "calls",
        "fixed",
        "identify",
        "identity",
        "is_console",
        "key",
        "life_s",
        "prefix",
        "renew_at",
        "stream",
    )

    def __init__(
        self,
        stream: Stream,
        rendered: list[Rendered],
        identify: Callable[[str, str], Json],
        *,
        life_s: float,
        is_console: bool = False,
        **fixed: str,
    ) -> None:
        self.stream = stream
        self.calls = rendered
        self.identify = identify  # from key and creationDate
        self.life_s = life_s
        self.renew_at = -inf
        self.prefix = "AKIA" if life_s == inf else "ASIA"
        self.is_console = is_console
        self.fixed = {"account": stream.account, **fixed}
        self.identity = self.key = ""

    def renew(self, at: int, key_bits: int) -> None:
        """Take new credentials, good for as long as always."""
        self.key = shapes.access_key(self.prefix, key_bits)
        self.identity = json.dumps(self.identify(self.key, iso(at)), separators=(",", ":"))
        self.renew_at = at + self.life_s


class Group:
    """The callers of one kind, by entity: activity falls with the entity's rank, as Zipf says."""

    def __init__(self, entities: list[list[Caller]]) -> None:
        self._entities = entities
        self._weights = list(accumulate(1 / rank for rank in range(1, len(entities) + 1)))
        self.callers = [caller for entity in entities for caller in entity]

    def pick(self, rng: Random) -> Caller:
        """Choose a caller: an entity by its rank, then any of its own."""
        (entity,) = rng.choices(self._entities, cum_weights=self._weights)
        return entity[int(rng.random() * len(entity))]


def render(
    made: tuple[Call, ...], agent: str, *, direct: bool = True, console: bool = False, endpoint: bool = False
) -> list[Rendered]:
    """Make the templates of calls once, for all callers that make them in this way."""

    def text(call: Call, *, denied: bool) -> str:
        return shapes.template(call, denied=denied, direct=direct, console=console, endpoint=endpoint)

    return [
        Rendered(text(call, denied=False), text(call, denied=True), call.client(agent), call.is_global) for call in made
    ]


_PLATFORMS: Final = (
    ("ec2.amazonaws.com", render(calls.INSTANCE, shapes.BOTO_INSTANCE)),
    ("ec2.amazonaws.com", render(calls.INSTANCE, shapes.GO_INSTANCE, endpoint=True)),
    ("lambda.amazonaws.com", render(calls.FUNCTION, shapes.BOTO_LAMBDA)),
    ("ecs-tasks.amazonaws.com", render(calls.TASK, shapes.JAVA_FARGATE)),
)
_CONSOLE: Final = [
    render(calls.CONSOLE, browser, console=True) for browser in (shapes.CHROME, shapes.FIREFOX, shapes.EDGE)
]
_TERMINAL: Final = render(calls.TERMINAL, shapes.CLI)
_SCRIPT: Final = render(calls.SCRIPT, shapes.BOTO_CRON)
_DEPLOY: Final = render(calls.IAM_WRITES, shapes.TERRAFORM)
_ASSUME: Final = shapes.template(shapes.assume_role(), direct=False, shared=True)
_SIGNED_IN: Final = shapes.template(shapes.console_login())
_SIGNED_IN_MFA: Final = shapes.template(shapes.console_login(mfa=True))
_SIGN_IN_FAILED: Final = shapes.template(shapes.console_login(failure="Failed authentication"))


def _workload(rng: Random, number: int) -> list[Caller]:
    """Make a workload's role: up to 21 instances or tasks of the busiest, one to three of most; or one function."""
    platform, rendered = rng.choice(_PLATFORMS)
    stream, name = _place(rng, number), _NAMES[number % len(_NAMES)]
    role = f"{name}-{number:04d}"
    made = _some(rng, rendered)
    return [
        _workload_session(rng, stream, made, platform, role, name)
        for _ in range(1 if platform.startswith("lambda") else max(20 // (number + 1), rng.randrange(3)) + 1)
    ]


def _workload_session(rng: Random, stream: Stream, made: list[Rendered], platform: str, role: str, name: str) -> Caller:
    context: Json = {}
    address = f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    match platform:
        case "ec2.amazonaws.com":
            session, context = f"i-0{rng.getrandbits(64):016x}", {"ec2RoleDelivery": "2.0"}
        case "lambda.amazonaws.com":
            session, address = f"{role}-fn", _public(rng)
        case _:
            session = f"{rng.getrandbits(128):032x}"
    account = stream.account
    return Caller(
        stream,
        made,
        lambda key, created: shapes.role_session(account, role, session, key, created, context=context),
        life_s=rng.uniform(1, 6) * HOUR,
        actor=shapes.session_arn(account, role, session),
        address=address,
        name=name,
        role=role,
        role_account=account,
        role_id=shapes.unique_id("AROA", f"{account}/{role}"),
        session=session,
        platform=platform,
    )


def _linked(rng: Random, number: int) -> list[Caller]:
    """Make a service-linked role; a service's second in an account bears a suffix."""
    service, role, session, _ = calls.SERVICE_LINKED[number % len(calls.SERVICE_LINKED)]
    made = render(tuple(call for host, _, _, call in calls.SERVICE_LINKED if host == service), service, direct=False)
    stream, role = _place(rng, number), f"{role}_{number:03d}"
    path = f"/aws-service-role/{service}/"
    return [
        Caller(
            stream,
            made,
            lambda key, created: shapes.role_session(
                stream.account, role, session, key, created, path=path, invokedBy=service
            ),
            life_s=HOUR,
            actor=shapes.session_arn(stream.account, role, session),
            address=service,
            name=rng.choice(_NAMES),
        )
    ]


def _services() -> Group:
    """Make the services that call in their own name, in every account."""
    return Group(
        [
            [
                Caller(
                    Stream(account, REGIONS[0]),
                    render((call,), host, direct=False),
                    lambda _key, _created, host=host: shapes.service(host),  # type: ignore[misc]
                    life_s=inf,
                    actor=host,
                    address=host,
                    name=name,
                )
            ]
            for host, call in calls.SERVICE
            for account, name in zip(ACCOUNTS, _NAMES, strict=False)
        ]
    )


def _person(rng: Random, number: int) -> list[Caller]:
    """Make a role of IAM Identity Center with three people at the console and the terminal; each tenth, an IAM user."""
    stream, name = _place(rng, number), rng.choice(_NAMES)
    account = stream.account
    if number % 10 == 9:
        user = f"person-{number:03d}"
        return [
            Caller(
                stream,
                _some(rng, rng.choice(_CONSOLE)),
                lambda key, created: shapes.user(account, user, key, created, mfa=True),
                life_s=8 * HOUR,
                is_console=True,
                actor=f"arn:aws:iam::{account}:user/{user}",
                address=_public(rng),
                name=name,
            )
        ]
    role = f"AWSReservedSSO_Team{number:03d}_{number:016x}"
    path = f"/aws-reserved/sso.amazonaws.com/{REGIONS[0]}/"
    callers = []
    for person in range(3):
        session = f"person.{number:03d}.{person}@example.com"
        address = _public(rng)
        for is_console, rendered in ((True, rng.choice(_CONSOLE)), (False, _TERMINAL)):
            callers.append(
                Caller(
                    stream,
                    _some(rng, rendered),
                    lambda key, created, session=session: shapes.role_session(  # type: ignore[misc]
                        account, role, session, key, created, path=path
                    ),
                    life_s=8 * HOUR,
                    is_console=is_console,
                    actor=shapes.session_arn(account, role, session),
                    address=address,
                    name=name,
                )
            )
    return callers


def _key(rng: Random, number: int) -> list[Caller]:
    """Make an IAM user whose one key a script uses."""
    stream, user = _place(rng, number), f"script-{number:03d}"
    return [
        Caller(
            stream,
            _some(rng, _SCRIPT),
            lambda key, _created: shapes.user(stream.account, user, key),
            life_s=inf,
            actor=f"arn:aws:iam::{stream.account}:user/{user}",
            address=_public(rng),
            name=rng.choice(_NAMES),
        )
    ]


def _deployer(rng: Random, number: int) -> list[Caller]:
    """Make a role that GitHub's jobs deploy with: it writes IAM, by Terraform."""
    stream, role = _place(rng, number), f"deploy-{number:03d}"
    provider = f"arn:aws:iam::{stream.account}:oidc-provider/{shapes.GITHUB}"
    context = {"webIdFederationData": {"federatedProvider": provider, "attributes": {}}}
    return [
        Caller(
            stream,
            _some(rng, _DEPLOY),
            lambda key, created: shapes.role_session(
                stream.account, role, "GitHubActions", key, created, context=context
            ),
            life_s=HOUR,
            actor=shapes.session_arn(stream.account, role, "GitHubActions"),
            address=_public(rng),
            name=rng.choice(_NAMES),
        )
    ]


def _place(rng: Random, number: int) -> Stream:
    return Stream(ACCOUNTS[number % len(ACCOUNTS)], REGIONS[rng.random() < 0.3])


def _public(rng: Random) -> str:
    return f"{rng.choice(_PUBLIC)}.{rng.randrange(1, 255)}"


def _some(rng: Random, of: list[Rendered]) -> list[Rendered]:
    return rng.sample(of, min(len(of), rng.randint(4, 14)))


_MAKERS: Final = {
    "workload": _workload,
    "linked": _linked,
    "person": _person,
    "key": _key,
    "deployer": _deployer,
}  # fmt: skip


def groups(entities: int, seed: int) -> dict[str, Group]:
    """Make all callers: `entities` (at least 10) roles and users, and on top the services in their own name."""
    if entities < MIN_ENTITIES:
        raise ValueError(f"{entities} entities: at least {MIN_ENTITIES} are needed")
    rng = Random(f"{seed}/entities")
    sizes = {kind: max(1, round(entities * share)) for kind, share in POPULATION.items()}
    sizes["workload"] = entities - sum(sizes.values())
    made = {kind: Group([_MAKERS[kind](rng, number) for number in range(size)]) for kind, size in sizes.items()}
    return made | {"service": _services()}


def events(count: int, entities: int, days: float, seed: int) -> Iterator[Made]:
    """Make `count` events in the order of their times, evenly over the days; people keep office hours."""
    rng = Random(f"{seed}/events")
    by_kind = groups(entities, seed)
    pool = "".join(rng.choices(_BASE64, k=_TOKEN_POOL))
    kinds = list(MIX)
    weights = {
        factor: list(accumulate(share * (factor if kind == "person" else 1) for kind, share in MIX.items()))
        for factor in (PEOPLE_BY_DAY, PEOPLE_BY_NIGHT)
    }
    span_s = days * 24 * HOUR
    for index in range(count):
        at = START + int(index * span_s / count)
        by_day = at // HOUR % 24 in OFFICE_HOURS
        (kind,) = rng.choices(kinds, cum_weights=weights[PEOPLE_BY_DAY if by_day else PEOPLE_BY_NIGHT])
        if kind == "assume":
            yield _assumed(rng, at, rng.choice(by_kind["workload"].callers), pool)
            continue
        caller = by_kind[kind].pick(rng)
        if at >= caller.renew_at:
            caller.renew(at, rng.getrandbits(48))
        yield _signed_in(rng, at, caller) if caller.is_console and rng.random() < SIGN_INS else _called(rng, at, caller)


def _called(rng: Random, at: int, caller: Caller) -> Made:
    call = rng.choice(caller.calls)
    region = GLOBAL_REGION if call.is_global else caller.stream.region
    text = (call.denied if rng.random() < DENIALS else call.granted) % {
        "identity": caller.identity,
        "agent": call.agent,
        "region": region,
        "session": "",
        "number": int(rng.random() * 1000),
        "hex": f"{rng.getrandbits(64):016x}",
        **_stamps(rng, at),
        **caller.fixed,
    }
    return Made(at, Stream(caller.stream.account, region), text)


def _assumed(rng: Random, at: int, caller: Caller, pool: str) -> Made:
    """Let a service issue new credentials to a workload, which uses them from now on."""
    caller.renew(at, rng.getrandbits(48))
    cut = int(rng.random() * (_TOKEN_POOL - TOKEN_CHARACTERS))
    service = caller.fixed["platform"]
    text = _ASSUME % {
        "role_path": "/",
        **caller.fixed,
        **_stamps(rng, at),
        "identity": json.dumps(shapes.service(service), separators=(",", ":")),
        "address": service,
        "agent": service,
        "region": caller.stream.region,
        "key": caller.key,
        "token": f"EXAMPLE{pool[cut : cut + TOKEN_CHARACTERS]}==",
        "expires": shapes.expiry(at + int(caller.life_s)),
        "shared_id": shapes.uuid_of(rng.getrandbits(128)),
    }
    return Made(at, caller.stream, text)


def _signed_in(rng: Random, at: int, caller: Caller) -> Made:
    """Let a person sign in to the console: such records hold no key, failed ones no ARN either."""
    identity, account = caller.identify("", iso(at)), caller.stream.account
    template = _SIGNED_IN
    if identity["type"] == "IAMUser":
        failed = rng.random() < FAILED_SIGN_INS
        template = _SIGN_IN_FAILED if failed else _SIGNED_IN_MFA
        name = identity["userName"]
        identity = shapes.user_refused(account, name) if failed else shapes.user(account, name)
    text = template % {
        **caller.fixed,
        **_stamps(rng, at),
        "identity": json.dumps(identity, separators=(",", ":")),
        "agent": shapes.CHROME,
    }
    return Made(at, Stream(account, GLOBAL_REGION), text)


def _stamps(rng: Random, at: int) -> dict[str, str]:
    return {
        "time": iso(at),
        "event_id": shapes.uuid_of(rng.getrandbits(128)),
        "request_id": shapes.uuid_of(rng.getrandbits(128)),
    }


class LogFile(NamedTuple):
    """One file as CloudTrail delivers it."""

    stream: Stream
    delivered_at: int  # seconds since 1970, UTC
    records: list[str]


def deliver(made: Iterator[Made], seed: int) -> Iterator[LogFile]:
    """Put events into files in the order of their arrival, up to 45 minutes after their times; some arrive twice."""
    rng = Random(f"{seed}/delivery")
    on_the_way: list[tuple[int, int, Stream, str]] = []
    arrived: dict[Stream, list[str]] = {}
    sent = 0
    now = START

    def take(until: float) -> Iterator[LogFile]:
        while on_the_way and on_the_way[0][0] <= until:
            at, _, stream, text = heapq.heappop(on_the_way)
            waiting = arrived.setdefault(stream, [])
            waiting.append(text)
            if len(waiting) == RECORDS_PER_FILE:
                yield LogFile(stream, at, arrived.pop(stream))

    for now, stream, text in made:
        for _ in range(2 if rng.random() < DUPLICATES else 1):
            late_s = rng.uniform(900, 2700) if rng.random() < LATE else rng.triangular(60, 900, 240)
            heapq.heappush(on_the_way, (now + int(late_s), sent, stream, text))
            sent += 1
        yield from take(now)
    yield from take(inf)
    for stream, waiting in sorted(arrived.items()):
        yield LogFile(stream, now + 2700, waiting)


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


def write(folder: Path, count: int, entities: int, days: float, seed: int) -> Written:
    """Write a trail below `folder`; records come to 0.5 % more than `count`, by the duplicates."""
    files = records = raw_bytes = stored_bytes = 0
    for file in deliver(events(count, entities, days, seed), seed):
        raw = f'{{"Records":[{",".join(file.records)}]}}'.encode()
        stored = igzip.compress(raw, compresslevel=2, mtime=0)
        path = folder / shapes.log_path(file.stream.account, file.stream.region, file.delivered_at, f"{files:016d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored)
        files += 1
        records += len(file.records)
        raw_bytes += len(raw)
        stored_bytes += len(stored)
    return Written(files, records, raw_bytes, stored_bytes)


def main() -> None:
    """Write a trail and say what it came to."""
    parser = argparse.ArgumentParser(prog="python -m bench.trail", description="Write a made-up trail to measure with.")
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--entities", type=int, default=2_000, help=f"roles and users, at least {MIN_ENTITIES}")
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    began = time.perf_counter()
    written = write(chosen.folder, chosen.events, chosen.entities, chosen.days, chosen.seed)
    seconds = time.perf_counter() - began
    print(
        f"{written.records:,} records in {written.files:,} files: {written.raw_bytes / 1e6:,.0f} MB raw, "
        f"{written.stored_bytes / 1e6:,.0f} MB stored, {written.record_bytes:,.0f} bytes per record; {seconds:.1f} s"
    )


if __name__ == "__main__":
    main()
