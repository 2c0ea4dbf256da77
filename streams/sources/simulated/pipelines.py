"""What deploys and what runs by the clock: GitHub's jobs, Terraform, CloudFormation; old servers with an IAM user's key."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Stream
from streams.sources.simulated.clients import Client
from streams.sources.simulated.organisation import DAY, HOUR, Organisation
from streams.sources.simulated.shapes import GITHUB, Call, Json

SHARE: Final = 0.02  # of all events: deployments
CRON_SHARE: Final = 0.03  # of all events: scripts with an IAM user's key
_CALLS_PER_DEPLOYMENT: Final = 16
_CALLS_PER_RUN: Final = 4
KEY_MAX_AGE_DAYS: Final = 90


class Pipeline:
    """One repository's jobs: they come by OIDC with a role of their own, and go on to Terraform's in another account."""

    def __init__(self, organisation: Organisation, number: int) -> None:
        self._organisation = organisation
        rng = organisation.rng("pipeline", number)
        members = organisation.members
        self.account = members[number % len(members)].id
        self.target = members[(number + 1) % len(members)].id
        self.name = organisation.names[number % len(organisation.names)]
        self.role = f"ci-deploy-{self.name}" if rng.random() < 0.5 else f"ci-{self.name}-{number}"
        self.subject = f"repo:example-org/{self.name}:ref:refs/heads/main"
        self._cli = Client("cli-runner", rng)
        self.terraform = Client("terraform", rng)
        self.stream = Stream(self.account, organisation.home_region(self.account))
        ledger = organisation.ledger
        self._provider = f"arn:aws:iam::{self.account}:oidc-provider/{GITHUB}"
        self._job = ledger.meet(
            f"{self._provider}/{self.subject}", "web-identity-subject", "workload", self.account, "github"
        )
        self.who = ledger.meet(shapes.role_arn(self.account, self.role), "role", "workload", self.account, "github")
        self._deployer = ledger.meet(
            shapes.role_arn(self.target, "terraform"), "role", "workload", self.target, "terraform"
        )
        self._features: list[tuple[tuple[Call, ...], int]] = []  # what Terraform has made, and how far it is

    def days(self, deployments: float) -> Iterator[Made]:
        """Deploy on workdays, so many times a day on average."""
        plan = self._organisation.plan
        rng = self._organisation.rng("deployments", self.account, self.role)
        for number in range(plan.days):
            day = plan.start_at // DAY + number
            count = int(deployments) + (rng.random() < deployments % 1)
            if (day + 3) % 7 >= 5:
                count = int(count * 0.2)
            made: list[Made] = []
            for _ in range(count):
                made += self.deploy(rng, day * DAY + 6 * HOUR + rng.randrange(12 * HOUR))
            yield from sorted(made, key=lambda each: each.at)

    def deploy(self, rng: Random, at: int) -> list[Made]:
        """Run one job: it looks, it deploys, and Terraform writes IAM in the other account."""
        made, runner = self.come(rng, at)
        made += _paced(rng, at + 3, runner, rng.sample(calls.DEPLOY, 5))
        at = made[-1].at + 2
        if rng.random() < 0.4:
            made += _paced(rng, at, runner, calls.STACK)
            at = made[-1].at + 2
        issued, terraform = self.go_on(rng, at, runner)
        made += issued
        return made + _paced(rng, at + 2, terraform, self._writes(rng))

    def come(self, rng: Random, at: int) -> tuple[list[Made], Caller]:
        """Come by OIDC; answers the event of that, and the job in its role."""
        organisation = self._organisation
        address = organisation.runner_address(rng)
        key = shapes.access_key("ASIA", rng.getrandbits(48))
        job = Caller(
            self._job,
            self.stream,
            lambda _key, _created, _is_old: shapes.web_identity_of(self._provider, self.subject),
            self._cli,
            address,
            new_from=organisation.plan.new_from,
        )
        context: Json = {"webIdFederationData": {"federatedProvider": self._provider, "attributes": {}}}
        session = "GitHubActions"
        runner = Caller(
            self.who,
            self.stream,
            lambda key, created, _is_old: shapes.role_session(
                self.account, self.role, session, key, created, context=context
            ),
            self._cli,
            address,
            new_from=organisation.plan.new_from,
            life_s=HOUR,
            name=self.name,
            actor=shapes.session_arn(self.account, self.role, session),
        )
        slots = issued_slots(self.account, self.role, session, key, at)
        made = [job.call(rng, at, _ASSUME_WITH_TOKEN, slots | {"subject": self.subject, "provider": self._provider})]
        return made, runner.take(key, at)

    def go_on(self, rng: Random, at: int, runner: Caller) -> tuple[list[Made], Caller]:
        """Take Terraform's role in the other account: one call, two events with one sharedEventID."""
        organisation = self._organisation
        session = f"aws-go-sdk-{at * 1_000_000_000 + rng.getrandbits(29)}"
        key = shapes.access_key("ASIA", rng.getrandbits(48))
        slots = issued_slots(self.target, "terraform", session, key, at)
        made = assume_across(organisation, rng, at, runner.through(self.terraform), slots)
        region = organisation.home_region(self.target)
        terraform = Caller(
            self._deployer,
            Stream(self.target, region),
            lambda key, created, is_old: shapes.role_session(
                self.target, "terraform", session, key, created, context={"webIdFederationData": {}} if is_old else None
            ),
            self.terraform,
            runner.address,
            new_from=organisation.plan.new_from,
            life_s=HOUR,
            name=self.name,
            actor=shapes.session_arn(self.target, "terraform", session),
        )
        return made, terraform.take(key, at)

    def _writes(self, rng: Random) -> list[Call]:
        """Make one more role, change one, or take one away."""
        if len(self._features) < 2 or rng.random() < 0.4:
            number = rng.getrandbits(20)
            service = rng.choice(("lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "ec2.amazonaws.com"))
            made = calls.pipeline_writes(self.name, f"{self.name}-{number}", f"{self.name}-queue-{number}", service)
            self._features.append((made, 4))
            return list(made[:4])
        index = rng.randrange(len(self._features))
        made, done = self._features[index]
        if done == 4:
            self._features[index] = made, 7
            return list(made[4:7])
        del self._features[index]
        return list(made[7:])


def issued_slots(account: str, role: str, session: str, key: str, at: int, path: str = "/") -> dict[str, str]:
    """Fill the slots of an AssumeRole that is good for an hour."""
    return {
        "role": role,
        "role_path": path,
        "role_account": account,
        "role_id": shapes.unique_id("AROA", f"{account}/{role}"),
        "session": session,
        "key": key,
        "token": "EXAMPLETOKEN",
        "expires": shapes.expiry(at + HOUR),
    }


def assume_across(
    organisation: Organisation, rng: Random, at: int, caller: Caller, slots: dict[str, str]
) -> list[Made]:
    """Let a caller assume the role of `issued_slots`; across accounts it is an event in each, with one sharedEventID."""
    account, own = slots["role_account"], caller.stream.account
    if account == own:
        return [caller.call(rng, at, ASSUME, slots)]
    slots = slots | {"shared_id": shapes.uuid_of(rng.getrandbits(128))}
    made = [caller.call(rng, at, ASSUME, slots)]
    outsider = organisation.ledger.meet(own, "account", "unknown", own, "account")
    principal_id = caller.identify("", "", False)["principalId"]
    there = Caller(
        outsider,
        Stream(account, organisation.home_region(account)),
        lambda _key, _created, _is_old: {"type": "AWSAccount", "principalId": principal_id, "accountId": own},
        caller.client,
        caller.address,
        new_from=caller.new_from,
    )
    return [*made, there.call(rng, at, ASSUME, slots)]


def _paced(rng: Random, at: int, caller: Caller, asked: tuple[Call, ...] | list[Call]) -> list[Made]:
    made = []
    for call in asked:
        made.append(caller.call(rng, at, call))
        at += rng.randrange(1, 9)
    return made


class Script:
    """An old server's script that runs by the clock with an IAM user's key, and may renew the key itself."""

    def __init__(self, organisation: Organisation, number: int) -> None:
        self._organisation = organisation
        rng = organisation.rng("script", number)
        self.account = rng.choice(organisation.members).id
        self.name = organisation.names[number % len(organisation.names)]
        self.user = rng.choice(("svc-{}", "{}-backup", "{}-sync", "legacy-{}", "{}_batch")).format(self.name) + (
            str(number) if number > 8 else ""
        )
        self.key = shapes.access_key("AKIA", rng.getrandbits(48))
        self.who = organisation.ledger.meet(
            f"arn:aws:iam::{self.account}:user/{self.user}", "user", "workload", self.account, "script"
        )
        self.caller = Caller(
            self.who,
            Stream(self.account, organisation.home_region(self.account)),
            lambda key, _created, _is_old: shapes.user(self.account, self.user, key),
            Client(rng.choice(("boto-cron", "boto-cron", "php-cron")), rng),
            organisation.server_address(rng),
            new_from=organisation.plan.new_from,
            name=self.name,
            actor=self.who.arn,
        ).take(self.key, 0)
        self._minute_s = rng.randrange(HOUR)
        self._usual = rng.sample(calls.SCRIPT, 5)

    def days(self, runs: float) -> Iterator[Made]:
        """Run so many times a day, on average, a few seconds off the mark."""
        plan, rng = self._organisation.plan, self._organisation.rng("runs of", self.who.arn)
        every_s = max(300, round(DAY / runs / 300) * 300)
        at = plan.start_at + self._minute_s % every_s
        first: Made | None = None
        while at < plan.end_at - 60:
            for made in _paced(
                rng, at + rng.randrange(4), self.caller, self._usual[: _CALLS_PER_RUN + (rng.random() < 0.2)]
            ):
                if first is None:
                    first = made
                    self._owe(made)
                yield made
            at += every_s

    def _owe(self, first: Made) -> None:
        ledger, plan = self._organisation.ledger, self._organisation.plan
        ledger.finding("ordinary life", "machine-user-with-key", self.who.arn, [first], severity="info")
        due_at = first.at + KEY_MAX_AGE_DAYS * DAY
        if due_at < plan.end_at - DAY:
            ledger.finding(
                "ordinary life",
                "key-long-lived",
                self.who.arn,
                [first],
                subject=self.key,
                severity="low",
                opened_at=due_at,
            )


ASSUME: Final = shapes.assume_role()
_ASSUME_WITH_TOKEN: Final = shapes.assume_role_with_token()


class Automation:
    """All pipelines and scripts."""

    def __init__(self, organisation: Organisation) -> None:
        plan = organisation.plan
        daily = plan.events * SHARE / plan.days / _CALLS_PER_DEPLOYMENT * 7 / 5
        self.pipelines = [Pipeline(organisation, number) for number in range(max(1, min(60, round(daily / 3))))]
        self._deployments = max(0.25, daily / len(self.pipelines))
        runs = plan.events * CRON_SHARE / plan.days / _CALLS_PER_RUN
        self.scripts = [Script(organisation, number) for number in range(max(2, min(80, round(runs / 12))))]
        self._runs = max(0.3, runs / len(self.scripts))
        self._organisation = organisation
        self._taken = 0

    def lives(self) -> list[Iterator[Made]]:
        """Let all of them run."""
        return [each.days(self._deployments) for each in self.pipelines] + [
            each.days(self._runs) for each in self.scripts
        ]

    def take_script(self) -> Script:
        """Make one more script's user, for a story."""
        self._taken += 1
        return Script(self._organisation, 1_000 + self._taken)
