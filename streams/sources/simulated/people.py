"""People: through IAM Identity Center, through SAML, a few as IAM users; at the console and in the terminal.

They keep the working hours of their time zone, have weekends, holidays and trips, work from home twice a week.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, Literal

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Manner, Principal, Stream, instant
from streams.sources.simulated.clients import BROWSERS, TERMINALS, Client
from streams.sources.simulated.organisation import DAY, HOUR, Account, Organisation
from streams.sources.simulated.shapes import GLOBAL_REGION, Call, Json

Access = Literal["identity-center", "saml", "user"]

SHARE: Final = 0.10  # of all events
DENIALS: Final = 0.025  # share of calls refused
AGENTS: Final = 0.15  # share of the federated who let an AI agent type too
AGENT_WORDS: Final = tuple(call for call in calls.TERMINAL if call.reads)
FORGOTTEN_PASSWORDS: Final = 0.05  # share of IAM users' sign-ins after a failure or two
_CONSOLE: Final = Manner(console=True)
_SETS: Final = ("Developer", "Developer", "Developer", "ReadOnly", "DataScientist", "Administrator", "Operator")
_FIRST: Final = (
    "anna", "paul", "sofia", "marek", "nina", "tomas", "clara", "ivan", "lea", "omar", "priya", "jonas", "mei", "kofi",
    "elena", "david", "yuki", "samir", "greta", "lucas", "aisha", "felix", "maria", "noah", "ines", "piotr", "hana",
)  # fmt: skip
_LAST: Final = (
    "berger", "lindt", "rossi", "novak", "keller", "berg", "weiss", "petrov", "moreau", "haddad", "sharma", "holm",
    "chen", "mensah", "costa", "miller", "tanaka", "aziz", "olsen", "silva", "khan", "brandt", "lopez", "evans", "kowal",
)  # fmt: skip
_SAML_ROLES: Final = ("corp-engineer", "corp-analyst", "corp-support")


class Person:
    """Somebody who works here: where, in which account, by which door."""

    def __init__(
        self,
        organisation: Organisation,
        number: int,
        access: Access,
        *,
        role_set: str | None = None,
        account: str | None = None,
    ) -> None:
        self._organisation = organisation
        rng = organisation.rng("person", access, number)
        self.access = access
        name = f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}"
        if access == "user" and rng.random() < 0.5:
            name = name.replace(".", "")
        self.name = f"{name}{number}" if name in organisation.person_names else name
        organisation.person_names.add(self.name)
        self.email = f"{self.name}@{organisation.domain}"
        self.site = organisation.sites[number % len(organisation.sites)]
        chosen = rng.choice(organisation.members)
        self.account: Account = next((each for each in organisation.accounts if each.id == account), chosen)
        self.stream = Stream(self.account.id, organisation.home_region(self.account.id))
        self.office = self.site.address(rng)
        self.home = organisation.home_address(rng)
        self.browser = Client(rng.choice(BROWSERS), rng)
        self.s3_console = Client("s3-console", rng)
        self.terminal = Client(rng.choice(TERMINALS) if access != "user" else "cli-mac-profile", rng)
        # An AI agent on the same desk, with the same credentials: another client, and nobody else.
        self.agent = Client("mcp", rng) if access != "user" and rng.random() < AGENTS else None
        self.has_mfa = access != "user" or rng.random() < 0.7
        self.subject = rng.choice(organisation.names)
        self.set = role_set or rng.choice(_SETS)
        self._console_host = rng.choice(("console.amazonaws.com", "signin.amazonaws.com"))
        self._user_id = shapes.uuid_of(rng.getrandbits(128))
        self.role, self.path = self._role()
        self.who = self._principal()

    # Who this is

    def _role(self) -> tuple[str, str]:
        organisation = self._organisation
        if self.access == "identity-center":
            suffix = organisation.rng("set", self.account.id, self.set).getrandbits(64)
            region = organisation.home_region(organisation.management.id)
            return f"AWSReservedSSO_{self.set}_{suffix:016x}", f"/aws-reserved/sso.amazonaws.com/{region}/"
        return _SAML_ROLES[sum(map(ord, self.set)) % 3], "/"

    def _principal(self) -> Principal:
        ledger, account = self._organisation.ledger, self.account.id
        if self.access == "user":
            return ledger.meet(f"arn:aws:iam::{account}:user/{self.name}", "user", "human", account, "iam-user")
        return ledger.meet(shapes.role_arn(account, self.role), "role", "human", account, self.access)

    @property
    def session_arn(self) -> str:
        """Name this one's sessions, as AWS does."""
        return self.who.arn if self.access == "user" else shapes.session_arn(self.account.id, self.role, self.email)

    def address(self, rng: Random) -> str:
        """Say from where this one works at the moment."""
        return self.home if rng.random() < 0.35 else self.office

    # How this one comes in

    def sign_in(
        self, rng: Random, at: int, address: str | None = None, *, mfa: bool | None = None
    ) -> tuple[list[Made], Caller]:
        """Come to the console; answers the events of the way in, and the caller there."""
        address = address or self.office
        if self.access != "user":
            made = []
            if self.access == "identity-center":
                chosen = {"role_name": self.role, "account_id": self.account.id}
                made.append(self._at_portal(rng, self.browser, address).call(rng, at, Call("sso", "Federate", chosen)))
            made.append(self._federate(rng, at, address))
            visitor = self._caller(address, keyless=True).take("", at + 1)
            made.append(visitor.call(rng, at + 1, _SIGNED_IN))
        else:
            has_mfa = self.has_mfa if mfa is None else mfa
            visitor = self._caller(address, keyless=True, mfa=has_mfa, bare=True).take("", at)
            made = [visitor.call(rng, at, _SIGNED_IN_MFA if has_mfa else _SIGNED_IN)]
        inside = self._caller(address, console=True, mfa=self.has_mfa if mfa is None else mfa)
        inside.take("", at)
        return made, inside

    def fail_to_sign_in(self, rng: Random, at: int, address: str | None = None) -> Made:
        """Mistype the password of an IAM user."""
        name, account = self.name, self.account.id
        caller = Caller(
            self.who,
            Stream(account, GLOBAL_REGION),
            lambda _key, _created, _is_old: shapes.user_refused(account, name),
            self.browser,
            address or self.office,
            new_from=self._organisation.plan.new_from,
        )
        return caller.call(rng, at, _SIGN_IN_FAILED)

    def open_terminal(self, rng: Random, at: int, address: str | None = None) -> tuple[list[Made], Caller]:
        """Take credentials for the terminal; answers the events of that, and the caller there."""
        address = address or self.office
        desk = self._caller(address)
        if self.access == "user":
            return [], desk.take(self.long_lived_key, self._organisation.plan.start_at)
        if self.access == "saml":
            made = [self._federate(rng, at, address)]
            return made, desk.take(made[0].text.partition('"accessKeyId":"')[2][:20], at)
        portal = self._at_portal(rng, self.terminal, address)
        call = Call("sso", "GetRoleCredentials", {"roleName": self.role, "accountId": self.account.id})
        made = [portal.call(rng, at, call)]
        desk.renew(at, rng.getrandbits(48))
        return made, desk

    def _at_portal(self, rng: Random, client: Client, address: str) -> Caller:
        """Make this one at Identity Center's portal, which is the management account's."""
        management = self._organisation.management.id
        store = f"arn:aws:identitystore::{management}:identitystore/d-90example0"
        who = self._organisation.ledger.meet(
            f"{store}/{self._user_id}", "identity-center-user", "human", management, "identity-center"
        )
        credential = f"EXAMPLE{rng.getrandbits(32):08x}"
        return Caller(
            who,
            Stream(management, self._organisation.home_region(management)),
            lambda _key, _created, _is_old: {
                "type": "IdentityCenterUser",
                "accountId": management,
                "onBehalfOf": {"userId": self._user_id, "identityStoreArn": store},
                "credentialId": credential,
            },
            client,
            address,
            new_from=self._organisation.plan.new_from,
        )

    @property
    def long_lived_key(self) -> str:
        """The access key of one who has an IAM user."""
        return shapes.access_key("AKIA", self._organisation.rng("key", self.who.arn).getrandbits(48))

    def _federate(self, rng: Random, at: int, address: str) -> Made:
        """Take credentials of the role by an assertion: Identity Center's, or the company's own provider's."""
        organisation, account = self._organisation, self.account.id
        is_own = self.access == "saml"
        provider_id = f"EXAMPLE{organisation.domain.replace('.', '')}=" if is_own else f"EXAMPLE{account}="
        provider = (
            f"arn:aws:iam::{account}:saml-provider/{'corp-idp' if is_own else 'AWSSSO_0example0000000_DO_NOT_DELETE'}"
        )
        who = organisation.ledger.meet(f"{provider_id}/{self.email}", "saml-subject", "human", None, self.access)
        caller = Caller(
            who,
            self.stream,
            lambda _key, _created, _is_old: shapes.saml_user(provider_id, self.email),
            self.browser,
            address,
            new_from=organisation.plan.new_from,
        )
        return caller.call(
            rng,
            at,
            _ASSUME_WITH_SAML,
            {
                "role": self.role,
                "role_path": self.path,
                "role_account": account,
                "role_id": shapes.unique_id("AROA", f"{account}/{self.role}"),
                "session": self.email,
                "key": shapes.access_key("ASIA", rng.getrandbits(48)),
                "token": "EXAMPLETOKEN",
                "expires": shapes.expiry(at + 8 * HOUR),
                "provider": provider,
                "assertion": shapes.uuid_of(rng.getrandbits(128)),
                "issuer": f"https://idp.{organisation.domain}/saml"
                if is_own
                else "https://portal.sso.amazonaws.com/saml/assertion/EXAMPLE",
            },
        )

    def _caller(
        self, address: str, *, console: bool = False, keyless: bool = False, mfa: bool = False, bare: bool = False
    ) -> Caller:
        account, path = self.account.id, self.path

        def identify(key: str, created: str, is_old: bool) -> Json:
            by_console: Json = {"invokedBy": "signin.amazonaws.com"} if console and is_old else {}
            shown = None if keyless else key
            if self.access == "user":
                is_session = console or (not bare and key.startswith("ASIA"))
                return shapes.user(account, self.name, shown, created if is_session else None, mfa=mfa) | by_console
            return shapes.role_session(
                account,
                self.role,
                self.email,
                shown,
                created,
                path=path,
                context={"webIdFederationData": {}} if is_old else None,
                **by_console,
            )

        return Caller(
            self.who,
            self.stream,
            identify,
            (self.browser if console or keyless else self.terminal),
            address,
            new_from=self._organisation.plan.new_from,
            manner=_CONSOLE if console else Manner(),
            life_s=12 * HOUR,
            name=self.subject,
            actor=self.session_arn,
            console_host=self._console_host,
        )

    # What this one does

    def days(self, looks: float) -> Iterator[Made]:
        """Live through all days; `looks` is how many calls a working day holds, on average."""
        organisation, plan = self._organisation, self._organisation.plan
        rng = organisation.rng("days of", self.access, self.who.arn, self.email)
        presence = min(0.92, looks / 8)
        trip = rng.randrange(max(1, plan.days - 3)) if rng.random() < 0.2 else None
        hotel = organisation.home_address(rng)
        for number in range(plan.days):
            day = plan.start_at // DAY + number
            begin_at = day * DAY + 8 * HOUR + rng.randrange(2 * HOUR) - self.site.zone_s
            end_at = begin_at + 9 * HOUR
            is_off = organisation.is_holiday(day, self.site) or rng.random() > presence
            if is_off or begin_at < plan.start_at or end_at >= plan.end_at:
                continue
            away = trip is not None and trip <= number < trip + 3
            address = hotel if away else self.address(rng)
            yield from sorted(self._day(rng, begin_at, end_at, address, max(looks, 5)), key=lambda made: made.at)

    def _day(self, rng: Random, begin_at: int, end_at: int, address: str, looks: float) -> Iterator[Made]:
        typed = 0 if self.set == "ReadOnly" else int(looks * rng.uniform(0.2, 0.6))
        clicked = int(looks * rng.uniform(0.8, 1.2)) - typed
        at = begin_at
        if self.access == "user" and rng.random() < FORGOTTEN_PASSWORDS:
            yield self.fail_to_sign_in(rng, at, address)
            at += rng.randrange(8, 40)
        if clicked > 2:
            made, visitor = self.sign_in(rng, at, address)
            self.note_sign_in(made)
            yield from made
            visits = 1 + (clicked > 12)
            for visit in range(visits):
                yield from self.wander(rng, at + 5, visitor, clicked // visits, end_at)
                at = begin_at + 4 * HOUR + rng.randrange(2 * HOUR) * (visit + 1)
        if typed > 1:
            at = begin_at + rng.randrange(5 * HOUR)
            made, desk = self.open_terminal(rng, at, address)
            yield from made
            yield from type_away(rng, at, desk, typed, end_at)
            if self.agent is not None and at >= self._organisation.plan.new_from:
                yield from type_away(rng, at, desk.through(self.agent), typed // 3, end_at, AGENT_WORDS)

    def note_sign_in(self, made: Sequence[Made], story: str = "ordinary life") -> None:
        """Put down what a sign-in owes: an IAM user's past the identity provider is a finding each time."""
        if self.access == "user":
            self._organisation.ledger.finding(
                story,
                "unfederated-console-login",
                self.who.arn,
                made[-1:],
                subject=f"console@{instant(made[-1].at)}",
                severity="low" if self.has_mfa else "medium",
            )

    def wander(
        self, rng: Random, at: int, visitor: Caller, looks: int, end_at: int, pages: Sequence[Call] = calls.CONSOLE
    ) -> Iterator[Made]:
        """Click through the console: a page makes a few calls at once, each with a key of its own."""
        browser = visitor.client
        done = 0
        while done < looks and at < end_at:
            for _ in range(min(looks - done, rng.choice((1, 1, 2, 3, 5)))):
                call = rng.choice(pages)
                visitor.key = shapes.access_key("ASIA", rng.getrandbits(48))
                visitor.client = self.s3_console if call.source == "s3" else browser
                yield visitor.call(rng, at, call, denied=rng.random() < DENIALS)
                at += rng.randrange(2)
                done += 1
            at += int(rng.expovariate(1 / 70)) + 2
        visitor.client = browser


def type_away(
    rng: Random, at: int, desk: Caller, count: int, end_at: int, words: Sequence[Call] = calls.TERMINAL
) -> Iterator[Made]:
    """Work in the terminal: so many commands, some minutes between them."""
    for _ in range(count):
        at += int(rng.expovariate(1 / 120)) + 1
        if at >= end_at:
            return
        yield desk.call(rng, at, rng.choice(words), denied=rng.random() < DENIALS)


_SIGNED_IN: Final = shapes.console_login()
_SIGNED_IN_MFA: Final = shapes.console_login(mfa=True)
_SIGN_IN_FAILED: Final = shapes.console_login(failure="Failed authentication")
_ASSUME_WITH_SAML: Final = shapes.assume_role_with_saml()


class Staff:
    """All people, as many as the events of people need."""

    def __init__(self, organisation: Organisation) -> None:
        plan = organisation.plan
        daily = plan.events * SHARE / plan.days * 7 / 5
        count = max(4, min(400, round(daily / 45)))
        users = max(2, count // 12)
        federated = max(1, count // 6)
        self.people = [
            Person(
                organisation,
                number,
                "user" if number < users else "saml" if number < users + federated else "identity-center",
            )
            for number in range(count)
        ]
        self.looks = daily / count
        self._organisation = organisation
        self._not_taken = {
            access: [person for person in self.people if person.access == access]
            for access in ("identity-center", "saml", "user")
        }
        self._more = count

    def lives(self) -> list[Iterator[Made]]:
        """Let all people live."""
        return [person.days(self.looks * (0.3 if person.access == "user" else 1)) for person in self.people]

    def take(self, access: Access, *, role_set: str | None = None, account: str | None = None) -> Person:
        """Hand out a person for a story, each once; a new colleague where nobody is left, or a certain one is wanted."""
        waiting = self._not_taken[access]
        if role_set is None and account is None and waiting:
            return waiting.pop()
        self._more += 1
        return Person(self._organisation, self._more, access, role_set=role_set, account=account)
