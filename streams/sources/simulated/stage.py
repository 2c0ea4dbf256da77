"""Where stories are told: who is there to play a part, when there is time for it, and how it is put on record."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from streams.sources.simulated import shapes
from streams.sources.simulated.callers import Caller, Class, Made, Manner, Principal, Stream
from streams.sources.simulated.clients import Client
from streams.sources.simulated.machines import Fleet, Workload
from streams.sources.simulated.organisation import DAY, HOUR, Organisation
from streams.sources.simulated.people import Access, Person, Staff
from streams.sources.simulated.pipelines import Automation, Script, assume_across, issued_slots
from streams.sources.simulated.services import Services
from streams.sources.simulated.shapes import Call, Json

PROOF_DAYS: Final = 3  # for which a machine is seen at its own work before a story takes its role
MAX_RUNS: Final = 80  # of a story's script in the whole span, or thereabouts: stories are held in memory


class Stage:
    """What a story may use; `begin` sets it up for the next one, with dice of its own."""

    def __init__(
        self,
        organisation: Organisation,
        staff: Staff,
        automation: Automation,
        fleet: Fleet,
        services: Services,
    ) -> None:
        self.organisation = organisation
        self.plan = organisation.plan
        self.ledger = organisation.ledger
        self.staff = staff
        self.automation = automation
        self.fleet = fleet
        self.services = services
        self._roots = [each.id for each in organisation.members]
        self.story = ""
        self.rng = Random(0)

    def begin(self, story: str) -> None:
        """Set the stage for a story."""
        self.story = story
        self.rng = self.organisation.rng("story", story)

    # When

    def moment(
        self, low: float = 0.4, high: float = 0.9, *, length_h: float = 2, era: str | None = None, night: bool = False
    ) -> int:
        """Choose an instant between two parts of the span, so that there is time for the story; `era` keeps it in one."""
        plan, rng = self.plan, self.rng
        if era is not None and plan.era == "both":
            low, high = (0.2, 0.5) if era == "old" else (max(low, 0.5), high)
        begin_at = plan.start_at + round(low * plan.days * DAY)
        end_at = plan.start_at + round(high * plan.days * DAY)
        end_at = min(end_at, plan.end_at - 60) - round(length_h * HOUR)
        at = rng.randrange(begin_at, max(end_at, begin_at + 1))
        if plan.days >= 3:
            hour = rng.choice((1, 2, 3, 4)) if night else rng.randrange(8, 16)
            moved = at // DAY * DAY + hour * HOUR + rng.randrange(HOUR)
            at = moved if begin_at <= moved < end_at else at
        return at

    # Who

    def workload(self, platform: str = "ec2", *, by: int | None = None) -> tuple[Workload, list[Made]]:
        """Take a workload's role, and let it be seen at its own work before the story begins at `by`."""
        workload = self.fleet.take(platform)
        return workload, [] if by is None else self.proof(workload, by)

    def proof(self, workload: Workload, by: int, count: int = 6) -> list[Made]:
        """Let a machine be seen at its own work, in the days before `by`."""
        rng = self.rng
        span_s = min(PROOF_DAYS * DAY, by - self.plan.start_at - HOUR)
        session = workload.new_session()
        made: list[Made] = []
        for at in sorted(by - HOUR - int(rng.random() * span_s) for _ in range(count)):
            made += workload.work(rng, max(at, self.plan.start_at), session)
        return made

    def person(
        self, access: Access = "identity-center", *, role_set: str | None = None, account: str | None = None
    ) -> Person:
        """Take a person; one of a certain permission set or account is a new colleague, and so is an IAM user.

        An IAM user who also came in by himself on that day would have one session of two visits.
        """
        if access == "user" and account is None:
            account = self.rng.choice(self.organisation.members).id
        return self.staff.take(access, role_set=role_set, account=account)

    def administrator(self, account: str) -> Person:
        """Take one who may do anything in an account."""
        return self.staff.take("identity-center", role_set="Administrator", account=account)

    def assume(
        self, at: int, caller: Caller, account: str, role: str, session: str, *, path: str = "/"
    ) -> tuple[list[Made], str]:
        """Let a caller assume a role, perhaps of another account; answers the events and the issued key."""
        key = self.key()
        slots = issued_slots(account, role, session, key, at, path)
        return assume_across(self.organisation, self.rng, at, caller, slots), key

    def script(self, *, until: int | None = None, runs: float = 1) -> tuple[Script, list[Made]]:
        """Take a script's user, and let it run by the clock until then; `runs` times as often as is usual."""
        plan = self.plan
        runs_a_day = min(2.0, max(0.25, plan.events / plan.days / 1_500), MAX_RUNS / plan.days) * runs
        script = self.automation.take_script()
        made = [each for each in script.days(runs_a_day) if until is None or each.at < until]
        return script, made

    def attacker(self, kind: str = "cli-linux-env") -> tuple[Client, str]:
        """Make a stranger's client and address."""
        return Client(kind, self.rng), self.organisation.foreign_address(self.rng)

    def session(
        self,
        account: str,
        role: str,
        name: str,
        client: Client,
        address: str,
        *,
        path: str = "/",
        console: bool = False,
        keyless: bool = False,
        mfa: bool = False,
        context: Json | None = None,
        who: Principal | None = None,
    ) -> Caller:
        """Make somebody in a role's session, however he came by it."""
        who = who or self.ledger.meet(shapes.role_arn(account, role), "role", "workload", account, "role")

        def identify(key: str, created: str, is_old: bool) -> Json:
            return shapes.role_session(
                account,
                role,
                name,
                None if keyless else key,
                created,
                path=path,
                mfa=mfa,
                context=({"webIdFederationData": {}} if is_old else {}) | (context or {}),
                **({"invokedBy": "signin.amazonaws.com"} if console and is_old else {}),
            )

        return Caller(
            who,
            Stream(account, self.organisation.home_region(account)),
            identify,
            client,
            address,
            new_from=self.plan.new_from,
            manner=Manner(console=console),
            life_s=12 * HOUR,
            name=self.rng.choice(self.organisation.names),
            actor=shapes.session_arn(account, role, name),
        )

    def user(self, account: str, name: str, class_: Class = "human", platform: str = "iam-user") -> Principal:
        """Get to know an IAM user."""
        return self.ledger.meet(f"arn:aws:iam::{account}:user/{name}", "user", class_, account, platform)

    def with_key(self, account: str, name: str, key: str, client: Client, address: str) -> Caller:
        """Make whoever holds an IAM user's access key."""
        who = self.user(account, name)
        return Caller(
            who,
            Stream(account, self.organisation.home_region(account)),
            lambda key, _created, _is_old: shapes.user(account, name, key),
            client,
            address,
            new_from=self.plan.new_from,
            name=self.rng.choice(self.organisation.names),
            actor=who.arn,
        ).take(key, 0)

    def root_account(self) -> str:
        """Choose an account whose root has played no part yet, where there is one left."""
        if len(self._roots) > 1:
            return self._roots.pop(self.rng.randrange(len(self._roots)))
        return self._roots[0]

    def root(self, account: str, client: Client, address: str, *, mfa: bool = False) -> Caller:
        """Make an account's root; in the console with a page's own key, else with a key of its own or none."""
        who = self.ledger.meet(f"arn:aws:iam::{account}:root", "root", "unknown", account, "root")

        def identify(key: str, created: str, is_old: bool) -> Json:
            by_console: Json = {"invokedBy": "signin.amazonaws.com"} if is_old and key.startswith("ASIA") else {}
            return shapes.root(account, key, created if key else None, mfa=mfa, **by_console)

        return Caller(
            who,
            Stream(account, shapes.GLOBAL_REGION),
            identify,
            client,
            address,
            new_from=self.plan.new_from,
            life_s=12 * HOUR,
            name="example",
            actor=who.arn,
        )

    def key(self, prefix: str = "ASIA") -> str:
        """Make a new access key id."""
        return shapes.access_key(prefix, self.rng.getrandbits(48))

    # What

    def paced(
        self,
        at: int,
        caller: Caller,
        asked: Sequence[Call],
        *,
        gap_s: int = 30,
        denied: float = 0.0,
        key_each: bool = False,
    ) -> list[Made]:
        """Make calls one after another; `denied` is the share refused, `key_each` says that a console page takes a key each."""
        made = []
        for call in asked:
            if key_each:
                caller.key = self.key()
            made.append(caller.call(self.rng, at, call, denied=self.rng.random() < denied))
            at += self.rng.randrange(max(1, gap_s // 3), gap_s * 2)
        return made

    def finding(
        self,
        detector: str,
        entity_arn: str,
        events: Sequence[Made],
        *,
        subject: str | None = None,
        severity: str | None = None,
        opened_at: int | None = None,
    ) -> None:
        """Put down that this story owes a finding."""
        self.ledger.finding(
            self.story, detector, entity_arn, events, subject=subject, severity=severity, opened_at=opened_at
        )

    def tolerate(self, detector: str, entity_arn: str, events: Sequence[Made]) -> None:
        """Put down that a detector may make a finding of this story, and need not."""
        self.ledger.tolerate(self.story, detector, entity_arn, events)

    def near_miss(self, detector: str, entity_arn: str, events: Sequence[Made]) -> None:
        """Put down that this story only looks like what a detector is for."""
        self.ledger.near_miss(self.story, detector, entity_arn, events)
