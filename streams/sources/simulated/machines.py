"""Machines: the roles that instances, tasks, functions, pods, builds and jobs work with, and how they get credentials.

Each session asks for the same few things over and over; the busiest role has the most sessions (Zipf).
"""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Manner, Stream, service_caller
from streams.sources.simulated.clients import Client
from streams.sources.simulated.organisation import HOUR, Organisation
from streams.sources.simulated.shapes import Call, Json

ON_BEHALF: Final = 0.6  # share of the calls that could cause one on behalf of the caller, and do
DENIALS: Final = 0.02  # share of a machine's calls that are refused
TOKEN_CHARACTERS: Final = 320  # of an issued session token, after the word that tells it from a real one
MAX_SESSIONS: Final = 20  # of one role at a time
_BASE64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TOKEN_POOL: Final = "".join(Random("tokens").choices(_BASE64, k=16_384))


class Platform(NamedTuple):
    """What machines run on: who issues their credentials, how it shows."""

    name: str
    issuer: str  # the AWS service that assumes the role; "oidc" and "vendor" come from outside
    clients: tuple[str, ...]
    calls: tuple[Call, ...]
    life_h: float  # hours that credentials last at most
    burst: int  # calls made in a row, at most
    share: float  # of the roles


PLATFORMS: Final = (
    Platform("ec2", "ec2.amazonaws.com", ("boto-ec2", "go-ec2", "java-ec2"), calls.INSTANCE, 6, 3, 0.27),
    Platform("lambda", "lambda.amazonaws.com", ("boto-lambda", "node-lambda"), calls.FUNCTION, 12, 4, 0.27),
    Platform("ecs", "ecs-tasks.amazonaws.com", ("java-fargate", "boto-fargate"), calls.TASK, 6, 3, 0.20),
    Platform("eks-oidc", "oidc", ("boto-pod", "go-pod"), calls.TASK, 1, 4, 0.08),
    Platform("eks-pod-identity", "pods.eks.amazonaws.com", ("boto-pod", "go-pod"), calls.TASK, 6, 4, 0.05),
    Platform("codebuild", "codebuild.amazonaws.com", ("boto-codebuild",), calls.BUILD, 1, 14, 0.05),
    Platform("glue", "glue.amazonaws.com", ("boto-glue",), calls.JOB, 1, 12, 0.05),
    Platform("vendor", "vendor", ("vendor",), calls.MONITORING, 1, 16, 0.03),
)
BY_NAME: Final = {platform.name: platform for platform in PLATFORMS}


class Workload:
    """One role of a machine's, with the sessions that use it at a time."""

    def __init__(self, organisation: Organisation, number: int, platform: Platform) -> None:
        self._organisation = organisation
        self.platform = platform
        rng = self._rng = organisation.rng("workload", number)
        members = organisation.members
        self.account = members[number % len(members)].id
        self.name = organisation.names[number % len(organisation.names)]
        self.role = _role_name(rng, self.name, number, platform.name)
        self.path = rng.choice(("/", "/", "/", "/", "/service/", f"/{self.name}/"))
        region = organisation.home_region(self.account)
        self.stream = Stream(self.account, region)
        self.who = organisation.ledger.meet(
            shapes.role_arn(self.account, self.role), "role", "workload", self.account, platform.name
        )
        self.client = Client(rng.choice(platform.clients), rng)
        self._is_behind_endpoint = platform.name in ("ec2", "ecs") and rng.random() < 0.3
        self._cluster = f"{rng.getrandbits(64):016X}{rng.getrandbits(64):016X}"
        self._function = f"{self.name}-{rng.choice(('handler', 'worker', 'sync', 'export'))}-{number}"
        self._usual = rng.sample(platform.calls, min(len(platform.calls), rng.randint(5, 11)))
        self.sessions: list[Caller] = []
        self.asks: list[Call] = self._usual
        self._issuer = self._make_issuer()

    def open_sessions(self, count: int, interval_s: float) -> None:
        """Start so many instances, tasks or pods; `interval_s` is how often each makes a call, on average."""
        for _ in range(1 if self.platform.name in ("lambda", "glue", "vendor") else min(count, MAX_SESSIONS)):
            self.sessions.append(self.new_session(interval_s))

    def new_session(self, interval_s: float = HOUR) -> Caller:
        """Start one more instance, task or pod."""
        rng, platform = self._rng, self.platform.name
        session = self._session_name(rng)
        address = (
            self._organisation.private_address(rng)
            if self._is_behind_endpoint
            else self._organisation.cloud_address(rng)
            if platform in ("lambda", "glue", "codebuild")
            else self._organisation.server_address(rng)
            if platform == "vendor"
            else self._organisation.egress(self.account)
        )
        return Caller(
            self.who,
            self.stream,
            lambda key, created, is_old: self._identity(session, key, created, is_old=is_old),
            self.client,
            address,
            new_from=self._organisation.plan.new_from,
            manner=Manner(endpoint=self._is_behind_endpoint),
            life_s=min(self.platform.life_h * HOUR, max(HOUR, 8 * interval_s)),
            name=self.name,
            session=session,
            actor=shapes.session_arn(self.account, self.role, session),
        )

    def issue(self, rng: Random, at: int, session: Caller) -> Made:
        """Give a session new credentials, as its platform does."""
        if self.platform.name in ("ecs", "codebuild") and session.key:  # a new task, in the place of the old one
            name = self._session_name(rng)
            session.identify = lambda key, created, is_old: self._identity(name, key, created, is_old=is_old)
            session.fixed["session"] = name
            session.fixed["actor"] = shapes.session_arn(self.account, self.role, name)
        key = session.renew(at, rng.getrandbits(48))
        cut = int(rng.random() * (len(_TOKEN_POOL) - TOKEN_CHARACTERS))
        call = (
            _ASSUME_WITH_TOKEN
            if self.platform.issuer == "oidc"
            else _ASSUME_FROM_OUTSIDE
            if self.platform.issuer == "vendor"
            else _ASSUME
        )
        return self._issuer.call(
            rng,
            at,
            call,
            {
                "role": self.role,
                "role_path": self.path,
                "role_account": self.account,
                "role_id": shapes.unique_id("AROA", f"{self.account}/{self.role}"),
                "session": session.fixed["session"],
                "key": key,
                "token": f"EXAMPLE{_TOKEN_POOL[cut : cut + TOKEN_CHARACTERS]}==",
                "expires": shapes.expiry(at + int(session.life_s)),
                "shared_id": shapes.uuid_of(rng.getrandbits(128)),
            },
        )

    def work(self, rng: Random, at: int, session: Caller, *, until: int | None = None) -> list[Made]:
        """Let a session make one of its usual calls, or with `until` several in a row that end before then.

        It takes new credentials first where the old ones have run out.
        """
        made = [self.issue(rng, at, session)] if at >= session.renew_at else []
        for _ in range(1 if until is None else 1 + int(rng.random() * self.platform.burst)):
            asked = self.asks[int(rng.random() * len(self.asks))]
            client = session.client
            if asked.name == "UpdateInstanceInformation":
                session.client = self._organisation.agent
            made.append(session.call(rng, at, asked, denied=rng.random() < DENIALS))
            session.client = client
            if asked.name in calls.ON_BEHALF and rng.random() < ON_BEHALF:
                made.append(session.call(rng, at, calls.ON_BEHALF[asked.name]))
            if until is not None:
                at = min(at + int(rng.random() * 4), until - 1)
        return made

    def _session_name(self, rng: Random) -> str:
        match self.platform.name:
            case "ec2":
                return f"i-0{rng.getrandbits(64):016x}"
            case "ecs":
                return f"{rng.getrandbits(128):032x}"
            case "lambda":
                return self._function
            case "eks-oidc":
                return f"botocore-session-{1_700_000_000 + rng.getrandbits(26)}"
            case "eks-pod-identity":
                return f"eks-main-{self.name}-{rng.getrandbits(32):08x}-{rng.getrandbits(16):04x}"
            case "codebuild":
                return f"AWSCodeBuild-{shapes.uuid_of(rng.getrandbits(128))}"
            case "glue":
                return "GlueJobRunnerSession"
            case _:
                return "MonitoringIntegration"

    def _identity(self, session: str, key: str, created: str, *, is_old: bool) -> Json:
        context: Json = {"webIdFederationData": {}} if is_old else {}
        more: Json = {}
        match self.platform.name:
            case "ec2" if not is_old:
                context["ec2RoleDelivery"] = "2.0"
            case "lambda" if not is_old:
                function = f"arn:aws:lambda:{self.stream.region}:{self.account}:function:{self._function}"
                more["inScopeOf"] = {"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": function}
            case "eks-oidc":
                context["webIdFederationData"] = {"federatedProvider": self._provider, "attributes": {}}
            case _:
                pass
        return shapes.role_session(
            self.account, self.role, session, key, created, path=self.path, context=context, **more
        )

    @property
    def _provider(self) -> str:
        return (
            f"arn:aws:iam::{self.account}:oidc-provider/oidc.eks.{self.stream.region}.amazonaws.com/id/{self._cluster}"
        )

    def _make_issuer(self) -> Caller:
        ledger, new_from = self._organisation.ledger, self._organisation.plan.new_from
        match self.platform.issuer:
            case "oidc":
                subject = f"system:serviceaccount:{self.name}:{self.role}"
                who = ledger.meet(
                    f"{self._provider}/{subject}", "web-identity-subject", "workload", self.account, "eks-oidc"
                )
                return Caller(
                    who,
                    self.stream,
                    lambda _key, _created, _is_old: shapes.web_identity_of(self._provider, subject),
                    self.client,
                    self._organisation.egress(self.account),
                    new_from=new_from,
                    subject=subject,
                    provider=self._provider,
                    name=self.name,
                )
            case "vendor":
                vendor = self._organisation.vendor_account
                who = ledger.meet(vendor, "account", "unknown", vendor, "vendor")
                return Caller(
                    who,
                    self.stream,
                    lambda _key, _created, _is_old: shapes.account(vendor, f"{vendor}/monitoring"),
                    self.client,
                    self._organisation.server_address(self._rng),
                    new_from=new_from,
                    name=self.name,
                )
            case service:
                who = ledger.meet(service, "service", "service", None, "aws")
                return service_caller(who, self.stream, new_from=new_from, name=self.name)


_ASSUME: Final = shapes.assume_role()
_ASSUME_FROM_OUTSIDE: Final = shapes.assume_role(external_id="example-external-id")
_ASSUME_WITH_TOKEN: Final = shapes.assume_role_with_token()


def _role_name(rng: Random, name: str, number: int, platform: str) -> str:
    """Name a role as one of many teams does; Terraform's, CloudFormation's and people's habits differ."""
    what = {"ec2": "Instance", "lambda": "Function", "ecs": "Task", "codebuild": "Build", "glue": "Job"}.get(
        platform, "Pod" if platform.startswith("eks") else "Monitoring"
    )
    style = rng.randrange(4)
    if style == 0:
        suffix = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=12))
        return f"{name}-{number}-stack-{what}Role-{suffix}"
    if style == 1:
        return f"{name}-{what.lower()}-role-{number}"
    return f"{name.capitalize()}{what}Role{number}" if style == 2 else f"{name}-{number:03d}-{what.lower()}"


class Fleet:
    """All workloads, and which of them makes the next call."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._dice = organisation.rng("fleet")
        plan = organisation.plan
        count = plan.machine_count
        weights = [1 / rank**0.9 for rank in range(1, count + 1)]
        per_s = plan.events * 0.7 / (plan.days * 24 * HOUR) / sum(weights)
        kinds = self._dice.choices(PLATFORMS, [platform.share for platform in PLATFORMS], k=count)
        kinds[: len(PLATFORMS)] = self._dice.sample(PLATFORMS, len(PLATFORMS))  # at least one of each
        self.workloads = []
        for number, platform in enumerate(kinds):
            workload = Workload(organisation, number, platform)
            sessions = max(1, min(MAX_SESSIONS, round(weights[number] * 20)) - self._dice.randrange(2))
            workload.open_sessions(sessions, sessions / (weights[number] * per_s))
            self.workloads.append(workload)
        self._cumulative = list(accumulate(weights))
        self._not_taken = {
            platform.name: [each for each in self.workloads if each.platform is platform] for platform in PLATFORMS
        }

    def pick(self, rng: Random) -> Workload:
        """Choose a workload: by its rank."""
        return rng.choices(self.workloads, cum_weights=self._cumulative)[0]

    def take(self, platform: str) -> Workload:
        """Hand out a workload for a story, each once; one more is made where there is none left."""
        waiting = self._not_taken[platform]
        if waiting:
            return waiting.pop(0)
        workload = Workload(self._organisation, len(self.workloads), BY_NAME[platform])
        workload.open_sessions(1, HOUR)
        self.workloads.append(workload)
        self._cumulative.append(self._cumulative[-1] + 1 / len(self.workloads))
        return workload
