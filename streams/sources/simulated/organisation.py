"""The organisation itself: its accounts, regions, networks, offices and calendar, all drawn from one seed.

Addresses are those kept for documentation (RFC 5737, RFC 3849) and 10/8; account ids have the form of AWS's examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random
from typing import Final, Literal

from streams.sources.simulated.clients import Client
from streams.sources.simulated.shapes import GLOBAL_REGION
from streams.sources.simulated.truth import Ledger

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds

Era = Literal["new", "old", "both"]

START: Final = 1_772_409_600  # 2026-03-02T00:00:00Z, a Monday
START_OLD: Final = 1_614_556_800  # 2021-03-01T00:00:00Z, a Monday
MIN_EVENTS, MAX_EVENTS = 1_000, 10_000_000
MIN_ACCOUNTS, MAX_ACCOUNTS = 3, 60
MAX_DAYS: Final = 400
MIN_ENTITIES, MAX_ENTITIES = 12, 20_000

_REGIONS: Final = (
    "eu-west-1", "eu-central-1", "eu-north-1", "us-east-2", "us-west-2", "ap-southeast-2", "ap-south-1", "ca-central-1",
)  # fmt: skip
_BLOCKS: Final = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
_ENVIRONMENTS: Final = ("production", "staging", "development", "data", "security", "sandbox", "shared", "logging")
_SERVICES: Final = (
    "orders", "billing", "media", "search", "ledger", "catalog", "mailer", "reports", "ingest", "pricing", "checkout",
    "identity", "inventory", "shipping", "gateway", "metrics", "rating", "payments", "quotes", "claims", "archive",
    "scheduler", "render", "profile", "events", "loyalty", "returns", "stock", "tariff", "survey", "tracking", "video",
)  # fmt: skip
_DOMAINS: Final = ("example.com", "example.org", "example.net")
# Where people work: hours east of Greenwich. No daylight saving: an hour more or less decides nothing.
_ZONES: Final = (-8.0, -5.0, 0.0, 1.0, 2.0, 5.5, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: how much of which organisation, from when, and what goes wrong in it."""

    seed: int = 1
    events: int = 100_000
    days: int = 14
    accounts: int = 4
    start_at: int = START  # midnight, seconds since 1970, UTC
    era: Era = "new"
    entities: int | None = None  # roles and users of the machines; None: as many as suit the events
    stories: tuple[str, ...] = ()  # names of incidents and near misses

    @property
    def end_at(self) -> int:
        """When the trail ends."""
        return self.start_at + self.days * DAY

    @property
    def new_from(self) -> float:
        """When records begin to have the new era's fields: half way where both are asked for."""
        halfway = self.start_at + (self.days * DAY) // 2
        return {"new": -inf, "old": inf, "both": float(halfway)}[self.era]

    @property
    def machine_count(self) -> int:
        """How many roles and users machines have: more in a busier organisation, but ever more slowly."""
        return self.entities or max(MIN_ENTITIES, min(4_000, round(1.6 * self.events**0.5)))


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the organisation."""

    id: str
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class Site:
    """An office: its time zone and its way out to the internet."""

    zone_s: int
    block: str  # of the office's addresses, without the last number
    first_host: int
    holidays: frozenset[int]  # days since 1970

    def address(self, rng: Random) -> str:
        """Choose one of the office's addresses."""
        return f"{self.block}.{self.first_host + rng.randrange(4)}"


class Organisation:
    """Everything that holds for the whole organisation; what lives in it asks here for names and addresses."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.canaries: list[str] = []  # keys laid out as bait
        self.person_names: set[str] = set()  # no two people share one
        rng = self.rng("organisation")
        self.id = f"o-example{''.join(rng.choices('abcdefghijklmnopqrstuvwxyz0123456789', k=6))}"
        self.domain = rng.choice(_DOMAINS)
        ids = _account_ids(rng, plan.accounts + 3)
        self.accounts = tuple(
            Account(
                ids[number],
                "management" if number == 0 else _account_name(number),
                "management" if number == 0 else _ENVIRONMENTS[(number - 1) % len(_ENVIRONMENTS)],
            )
            for number in range(plan.accounts)
        )
        self.vendor_account, self.foreign_account, self.attacker_account = ids[plan.accounts :]
        self.regions = (*rng.sample(_REGIONS, 1 + (plan.accounts > 3)), GLOBAL_REGION)
        self._blocks = rng.sample(_BLOCKS, 3)  # offices, ways out of AWS, elsewhere
        self.sites = tuple(self._site(rng, number) for number in range(1 + min(3, plan.accounts // 2)))
        self.names = rng.sample(_SERVICES, len(_SERVICES))
        self.agent = Client("ssm-agent", rng)  # on every instance

    @property
    def management(self) -> Account:
        """The account that owns the organisation, and its Identity Center."""
        return self.accounts[0]

    @property
    def members(self) -> tuple[Account, ...]:
        """The accounts in which work is done."""
        return self.accounts[1:]

    def rng(self, *of: object) -> Random:
        """Make the dice of one part of the world: what others throw changes nothing for it."""
        return Random("/".join(map(str, (self.plan.seed, *of))))

    def home_region(self, account: str) -> str:
        """Say where an account's things are."""
        number = next((at for at, each in enumerate(self.accounts) if each.id == account), 0)
        return self.regions[number % max(1, len(self.regions) - 1)]

    def egress(self, account: str) -> str:
        """Say by which address an account's networks leave AWS."""
        number = next((at for at, each in enumerate(self.accounts) if each.id == account), 0)
        return f"{self._blocks[1]}.{10 + number % 60}"

    def cloud_address(self, rng: Random) -> str:
        """Choose an address of AWS's own, as functions have it, or CloudShell."""
        return f"{self._blocks[1]}.{rng.randrange(100, 250)}"

    def server_address(self, rng: Random) -> str:
        """Choose an address of a server outside AWS."""
        return f"{self._blocks[2]}.{rng.randrange(10, 90)}"

    def runner_address(self, rng: Random) -> str:
        """Choose an address of a CI provider's runner: another for every job."""
        return f"{self._blocks[2]}.{rng.randrange(90, 170)}"

    def private_address(self, rng: Random) -> str:
        """Choose an address inside a VPC."""
        return f"10.{rng.randrange(8, 60)}.{rng.randrange(256)}.{rng.randrange(4, 250)}"

    def home_address(self, rng: Random) -> str:
        """Choose an address of a household or a hotel."""
        return f"2001:db8:{rng.randrange(0x1000, 0x8FFF):x}:{rng.randrange(1, 255):x}::{rng.randrange(2, 65000):x}"

    def foreign_address(self, rng: Random) -> str:
        """Choose an address from a network that nobody of ours has ever come from.

        The three blocks of IPv4 kept for documentation are the offices', AWS's and the servers'.
        """
        return f"2001:db8:{rng.randrange(0x9000, 0xFFFF):x}::{rng.randrange(2, 65000):x}"

    def is_holiday(self, day: int, site: Site) -> bool:
        """Say whether a day (since 1970) is one of a weekend, or off at that site."""
        return (day + 3) % 7 >= 5 or day in site.holidays

    def _site(self, rng: Random, number: int) -> Site:
        first, last = self.plan.start_at // DAY, self.plan.end_at // DAY
        holidays = frozenset(day for day in range(first, last + 1) if rng.random() < 0.03)
        return Site(round(rng.choice(_ZONES) * HOUR), self._blocks[0], 8 + number * 16, holidays)

    def settings(self) -> str:
        """Write what the organisation would tell rolehawk of itself, as rolehawk.toml."""
        lines = ["[organisation]", f'id = "{self.id}"', f'management_account = "{self.management.id}"']
        lines.append(f'trusted_accounts = {{ "{self.vendor_account}" = "monitoring vendor" }}')
        for each in self.accounts:
            lines += [
                "",
                f'[organisation.accounts."{each.id}"]',
                f'name = "{each.name}"',
                f'environment = "{each.environment}"',
            ]
        blocks = ", ".join(f'"{site.block}.{site.first_host}/29"' for site in self.sites)
        lines += ["", "[networks]", f"office = [{blocks}]"]
        lines += ["", "[pipelines]", 'roles = ["arn:aws:iam::*:role/ci-*", "arn:aws:iam::*:role/terraform*"]']
        if self.canaries:
            lines += ["", "[canaries]", f"keys = [{', '.join(f'{chr(34)}{key}{chr(34)}' for key in self.canaries)}]"]
        return "\n".join(lines) + "\n"


def _account_name(number: int) -> str:
    environment = _ENVIRONMENTS[(number - 1) % len(_ENVIRONMENTS)]
    return environment if number <= len(_ENVIRONMENTS) else f"{environment}-{(number - 1) // len(_ENVIRONMENTS) + 1}"


def _account_ids(rng: Random, count: int) -> list[str]:
    """Make account ids as AWS's examples have them: 111122223333."""
    ids = [f"{a}{a}{a}{a}{b}{b}{b}{b}{c}{c}{c}{c}" for a in range(1, 10) for b in range(10) for c in range(10)]
    return rng.sample([each for each in ids if len(set(each)) == 3], count)
