"""Writes examples/sample-trail: a fortnight of a small organisation, quiet for the most part. Its README tells the story.

    python -m examples.make_sample_trail [OUT_DIR]

Everything follows from one seed: the same records in the same files, whenever and wherever it runs.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from models.record import iso
from streams.sources.simulated import calls, shapes
from streams.sources.simulated.shapes import GLOBAL_REGION, Call, Json

SEED: Final = 20260302
DAYS: Final = 14
START: Final = 1_772_409_600  # 2026-03-02T00:00:00Z, a Monday
MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds

PRODUCTION, STAGING, MANAGEMENT = "111122223333", "444455556666", "777788889999"
REGION: Final = "eu-west-1"

OFFICE: Final = "203.0.113.10"
NAT: Final = "198.51.100.20"  # where production's functions and tasks leave its network
RUNNER: Final = "192.0.2.60"
CRON_HOST: Final = "192.0.2.25"

DELIVERY_S: Final = (120, 420)  # after the event, as nearly always
LATE_DELIVERY_S: Final = (1_500, 2_700)
FILE_S: Final = 2 * DAY  # what arrives within it shares a file
_UUID_TAIL: Final = 0x4000_8000_E3A3_91E0_0000
_THINGS: Final = (
    "0e3a391e00000001",
    "0e3a391e00000002",
    "0e3a391e00000003",
    "0e3a391e00000004",
)  # digits of resource ids

LATE: Final = 0.006  # share of records
DUPLICATES: Final = 0.005  # share of records


@dataclass(frozen=True)
class Caller:
    """Someone with credentials, at a place, with a client."""

    account: str
    identity: Json
    address: str
    agent: str
    name: str = "shop"  # of the things that are asked for
    region: str = REGION
    direct: bool = True
    console: bool = False
    endpoint: bool = False

    def through(self, agent: str, address: str | None = None, *, console: bool = False) -> Caller:
        """Say that the same one goes on with another client, perhaps from another place."""
        return replace(self, agent=agent, address=address or self.address, console=console)


@dataclass(frozen=True)
class Person:
    """Someone who works here through IAM Identity Center."""

    name: str
    account: str
    role: str
    address: str
    browser: str
    terminal: bool = True

    @property
    def email(self) -> str:
        """The name of all sessions."""
        return f"{self.name}@example.com"


PEOPLE: Final = (
    Person("anna.berger", PRODUCTION, "AWSReservedSSO_Administrator_0a1b2c3d4e5f6071", OFFICE, shapes.CHROME),
    Person("paul.lindt", PRODUCTION, "AWSReservedSSO_Developer_1b2c3d4e5f607182", OFFICE, shapes.FIREFOX),
    Person("sofia.rossi", PRODUCTION, "AWSReservedSSO_Developer_1b2c3d4e5f607182", "203.0.113.88", shapes.CHROME, terminal=False),
    Person("marek.novak", STAGING, "AWSReservedSSO_Developer_2c3d4e5f60718293", "203.0.113.45", shapes.EDGE),
)  # fmt: skip


class Trail:
    """Collects records as things happen, and hands them out in files as they are delivered."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self._delivered: list[tuple[int, str, str, str]] = []  # when, account, region, record

    def key(self, prefix: str = "ASIA") -> str:
        """Make a new access key id."""
        return shapes.access_key(prefix, self.rng.getrandbits(48))

    def call(
        self, at: int, caller: Caller, call: Call, slots: dict[str, str] | None = None, *, denied: bool = False
    ) -> None:
        """Let a caller make a call; `slots` fills what is the call's own."""
        slots = slots or {}
        text = shapes.template(
            call,
            denied=denied,
            direct=caller.direct,
            console=caller.console,
            endpoint=caller.endpoint,
            shared="shared_id" in slots,
        )
        region = GLOBAL_REGION if call.is_global else caller.region
        record = text % {
            "identity": json.dumps(caller.identity, separators=(",", ":")),
            "time": iso(at),
            "region": region,
            "address": caller.address,
            "agent": call.client(caller.agent),
            "event_id": self.uuid(),
            "request_id": self.uuid(),
            "account": caller.account,
            "actor": caller.identity.get("arn", ""),
            "name": caller.name,
            "number": self.rng.randrange(20),
            "hex": self.rng.choice(_THINGS),
            "session": "",
            **slots,
        }
        self._deliver(at, caller.account, region, record)

    def assume(self, at: int, caller: Caller, account: str, role: str, session: str) -> str:
        """Let a caller assume a role, across accounts in both accounts' trails; answers the issued key."""
        key = self.key()
        slots = {
            "role": role,
            "role_path": "/",
            "role_account": account,
            "role_id": shapes.unique_id("AROA", f"{account}/{role}"),
            "session": session,
            "key": key,
            "token": "EXAMPLETOKEN",
            "expires": shapes.expiry(at + HOUR),
        }
        if not caller.direct or account != caller.account:
            slots["shared_id"] = self.uuid()
        call = shapes.assume_role()
        self.call(at, caller, call, slots)
        if account != caller.account:
            outsider = {
                "type": "AWSAccount",
                "principalId": caller.identity["principalId"],
                "accountId": caller.account,
            }
            self.call(at, replace(caller, account=account, identity=outsider), call, slots)
        return key

    def uuid(self) -> str:
        """Make an id that is unique and plainly made up; 48 bits of it vary, for the sake of the files' size."""
        return shapes.uuid_of(self.rng.getrandbits(48) << 80 | _UUID_TAIL)

    def _deliver(self, at: int, account: str, region: str, record: str) -> None:
        for _ in range(2 if self.rng.random() < DUPLICATES else 1):
            delay_s = self.rng.randint(*(LATE_DELIVERY_S if self.rng.random() < LATE else DELIVERY_S))
            self._delivered.append((at + delay_s, account, region, record))

    def files(self) -> dict[str, bytes]:
        """Make one file per account, region and two days of delivery: path to gzip."""
        records = defaultdict(list)
        for delivered_at, account, region, record in sorted(self._delivered):
            records[account, region, (delivered_at - START) // FILE_S].append(record)
        made = {}
        for (account, region, number), in_order in records.items():
            unique = f"{self.rng.getrandbits(64):016x}"
            path = shapes.log_path(account, region, START + (number + 1) * FILE_S - MINUTE, unique)
            made[path] = gzip.compress(f'{{"Records":[{",".join(in_order)}]}}'.encode(), mtime=0)
        return made


def day(number: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """Say when: `number` is the day of March 2026, hours are UTC."""
    return START + (number - 2) * DAY + hour * HOUR + minute * MINUTE + second


def is_workday(number: int) -> bool:
    """Say whether a day of March 2026 is none of a weekend."""
    return (number - 2) % 7 < 5


# Ordinary life


def instances(trail: Trail, number: int, role: str, account: str, ids: tuple[str, ...], agent: str, name: str) -> None:
    """Let instances live through a day: new credentials every eight hours, calls in between."""
    for index, instance in enumerate(ids):
        ec2 = of_service("ec2.amazonaws.com", account)
        for third in range(3):
            at = day(number, third * 8, 5 + 7 * index, trail.rng.randrange(60))
            key = trail.assume(at, ec2, account, role, instance)
            identity = shapes.role_session(account, role, instance, key, iso(at), context={"ec2RoleDelivery": "2.0"})
            machine = Caller(account, identity, f"10.0.12.{30 + index}", agent, name, endpoint=True)
            for _ in range(2):
                at += trail.rng.randint(10 * MINUTE, 230 * MINUTE)
                trail.call(at, machine, trail.rng.choice(calls.INSTANCE[1:-2]))
            trail.call(at + 40, machine.through(shapes.SSM_AGENT), calls.INSTANCE[0], {"session": instance})


def function(trail: Trail, number: int) -> None:
    """Let a function in production run through a day; AWS says which function its credentials are for."""
    role, name = "thumbnail-maker", "thumbnails"
    scope = {
        "issuerType": "AWS::Lambda::Function",
        "credentialsIssuedTo": f"arn:aws:lambda:{REGION}:{PRODUCTION}:function:{name}",
    }
    for half in range(2):
        at = day(number, half * 12, 1, trail.rng.randrange(60))
        key = trail.assume(at, of_service("lambda.amazonaws.com", PRODUCTION), PRODUCTION, role, name)
        identity = shapes.role_session(PRODUCTION, role, name, key, iso(at), inScopeOf=scope)
        machine = Caller(PRODUCTION, identity, NAT, shapes.BOTO_LAMBDA, name)
        for _ in range(4):
            at += trail.rng.randint(MINUTE, 100 * MINUTE)
            trail.call(at, machine, trail.rng.choice(calls.FUNCTION[:5]))


def tasks(trail: Trail, number: int) -> None:
    """Let a service's two tasks of the day live in staging."""
    role, account = "billing-worker", STAGING
    for half in range(2):
        at = day(number, half * 12, 3, trail.rng.randrange(60))
        task = f"{trail.rng.getrandbits(128):032x}"
        key = trail.assume(at, of_service("ecs-tasks.amazonaws.com", account), account, role, task)
        identity = shapes.role_session(account, role, task, key, iso(at))
        machine = Caller(account, identity, "198.51.100.40", shapes.JAVA_FARGATE, "billing")
        for _ in range(5):
            at += trail.rng.randint(MINUTE, 110 * MINUTE)
            trail.call(at, machine, trail.rng.choice(calls.TASK[:11]))


def services(trail: Trail, number: int) -> None:
    """Let AWS's own services go about their work in all accounts."""
    for account in (PRODUCTION, STAGING, MANAGEMENT):
        for hour in (2, 14) if account != MANAGEMENT else (2,):
            at = day(number, hour, trail.rng.randrange(60), trail.rng.randrange(60))
            for host, call in calls.SERVICE[:3]:
                trail.call(at, of_service(host, account), call)
            trail.assume(at + 2, of_service("config.amazonaws.com", account), account, "config-recorder", "AWSConfig")
            for service, role, session, call in calls.SERVICE_LINKED[:3]:
                at += trail.rng.randint(1, 30)
                identity = shapes.role_session(
                    account,
                    role,
                    session,
                    trail.key(),
                    iso(at),
                    path=f"/aws-service-role/{service}/",
                    invokedBy=service,
                )
                trail.call(at, replace(of_service(service, account), identity=identity), call)


def of_service(host: str, account: str) -> Caller:
    """Make an AWS service, calling in its own name."""
    return Caller(account, shapes.service(host), host, host, direct=False)


def deployment(trail: Trail, at: int) -> None:
    """Let a job at GitHub deploy: to production by the CLI and Terraform, then from there to staging."""
    subject, role = "repo:example-org/shop:ref:refs/heads/main", "ci-deploy"
    job = Caller(PRODUCTION, shapes.web_identity(PRODUCTION, subject), RUNNER, shapes.CLI_RUNNER)
    key = trail.key()
    provider = f"arn:aws:iam::{PRODUCTION}:oidc-provider/{shapes.GITHUB}"
    answer = {
        "credentials": {"accessKeyId": key, "sessionToken": "EXAMPLETOKEN", "expiration": shapes.expiry(at + HOUR)},
        "subjectFromWebIdentityToken": subject,
        "assumedRoleUser": {
            "assumedRoleId": f"{shapes.unique_id('AROA', f'{PRODUCTION}/{role}')}:GitHubActions",
            "arn": shapes.session_arn(PRODUCTION, role, "GitHubActions"),
        },
        "provider": provider,
        "audience": "sts.amazonaws.com",
    }
    request = {
        "roleArn": shapes.role_arn(PRODUCTION, role),
        "roleSessionName": "GitHubActions",
        "durationSeconds": 3600,
    }
    trail.call(at, job, Call("sts", "AssumeRoleWithWebIdentity", request, answer))
    federation = {"webIdFederationData": {"federatedProvider": provider, "attributes": {}}}
    identity = shapes.role_session(PRODUCTION, role, "GitHubActions", key, iso(at), context=federation)
    runner = replace(job, identity=identity)
    terraform = runner.through(shapes.TERRAFORM)
    for call in calls.DEPLOY[:7]:
        at += trail.rng.randint(1, 4)
        trail.call(at, terraform, call)
    for call in trail.rng.sample(calls.DEPLOY[7:], 2):
        at += trail.rng.randint(1, 20)
        trail.call(at, runner, call)
    key = trail.assume(at + 5, terraform, STAGING, "terraform", "aws-go-sdk-" + str(at * 1_000_000_000))
    identity = shapes.role_session(STAGING, "terraform", f"aws-go-sdk-{at * 1_000_000_000}", key, iso(at + 5))
    for call in trail.rng.sample(calls.DEPLOY, 3):
        at += trail.rng.randint(6, 20)
        trail.call(at, replace(terraform, account=STAGING, identity=identity), call)


def cron(trail: Trail, number: int, user: Caller) -> None:
    """Let the old server's script make its nightly and noonly backup with an IAM user's key."""
    for hour in (0, 12):
        at = day(number, hour, 15, 2)
        for call in calls.SCRIPT[:4]:
            trail.call(at, user, call)
            at += trail.rng.randint(1, 6)


def workday(trail: Trail, number: int, person: Person) -> None:
    """Let a person come in, look around in the console, go to lunch, and go on; some work in the terminal too."""
    at = day(number, 7, 40 + trail.rng.randrange(70), trail.rng.randrange(60))
    visitor = sign_in_by_identity_center(trail, at, person)
    for begin, looks in ((at + MINUTE, 5), (day(number, 12, 10 + trail.rng.randrange(45)), 4)):
        wander(trail, begin, visitor, looks, list(calls.CONSOLE))
    if person.terminal:
        type_away(trail, day(number, 9, trail.rng.randrange(90)), person)


def sign_in_by_identity_center(trail: Trail, at: int, person: Person) -> Caller:
    """Let a person sign in to the console by Identity Center; answers him at the console."""
    account, path = person.account, f"/aws-reserved/sso.amazonaws.com/{REGION}/"
    key = trail.key()
    request = {
        "sAMLAssertionID": f"_{trail.uuid()}",
        "roleSessionName": person.email,
        "durationSeconds": 28800,
        "roleArn": shapes.role_arn(account, person.role, path),
        "principalArn": f"arn:aws:iam::{account}:saml-provider/AWSSSO_0example0000000_DO_NOT_DELETE",
    }
    answer = {
        "subjectType": "persistent",
        "issuer": f"https://portal.sso.{REGION}.amazonaws.com/saml/assertion/EXAMPLE",
        "credentials": {"accessKeyId": key, "sessionToken": "EXAMPLETOKEN", "expiration": shapes.expiry(at + 8 * HOUR)},
        "assumedRoleUser": {
            "assumedRoleId": f"{shapes.unique_id('AROA', f'{account}/{person.role}')}:{person.email}",
            "arn": shapes.session_arn(account, person.role, person.email),
        },
        "subject": person.email,
        "audience": "https://signin.aws.amazon.com/saml",
    }
    federated = Caller(account, shapes.saml_user("EXAMPLEnameQualifier=", person.email), person.address, person.browser)
    trail.call(at, federated, Call("sts", "AssumeRoleWithSAML", request, answer))
    identity = shapes.role_session(account, person.role, person.email, None, iso(at), path=path)
    visitor = Caller(account, identity, person.address, person.browser)
    trail.call(at + 1, visitor, shapes.console_login())
    return replace(visitor, console=True)


def wander(trail: Trail, at: int, visitor: Caller, looks: int, pages: list[Call]) -> None:
    """Let somebody click through the console: each page asks with a key of its own."""
    for call in trail.rng.sample(pages, looks):
        identity = visitor.identity | {"accessKeyId": trail.key()}
        trail.call(at, replace(visitor, identity=identity), call, denied=trail.rng.random() < 0.02)
        at += trail.rng.randint(4, 300)


def type_away(trail: Trail, at: int, person: Person) -> Caller:
    """Let a person work in the terminal, with credentials of Identity Center; answers him there."""
    behalf = {
        "type": "IdentityCenterUser",
        "accountId": MANAGEMENT,
        "onBehalfOf": {
            "userId": shapes.uuid_of(Random(person.name).getrandbits(128)),
            "identityStoreArn": f"arn:aws:identitystore::{MANAGEMENT}:identitystore/d-90example0",
        },
        "credentialId": f"EXAMPLE{trail.rng.getrandbits(32):08x}",
    }
    portal = Caller(MANAGEMENT, behalf, person.address, shapes.CLI)
    trail.call(at, portal, Call("sso", "GetRoleCredentials", {"roleName": person.role, "accountId": person.account}))
    path = f"/aws-reserved/sso.amazonaws.com/{REGION}/"
    identity = shapes.role_session(person.account, person.role, person.email, trail.key(), iso(at), path=path)
    desk = Caller(person.account, identity, person.address, shapes.CLI)
    for call in trail.rng.sample(calls.TERMINAL, 4):
        at += trail.rng.randint(5, 400)
        trail.call(at, desk, call, denied=trail.rng.random() < 0.03)
    return desk


# What should be found

SECRETS: Final = [
    Call("secretsmanager", "ListSecrets", {"maxResults": 100, "includePlannedDeletion": False}),
    Call("secretsmanager", "DescribeSecret", {"secretId": "orders/db"}),
    Call("secretsmanager", "GetSecretValue", {"secretId": "orders/db"}),
    Call("ssm", "DescribeParameters", {"maxResults": 50}),
    Call("kms", "ListAliases", {"limit": 100}),
    *calls.CONSOLE[:11],
]


def engineer_switches_to_machine_role(trail: Trail) -> None:
    """Tuesday 10th: nina.keller signs in as an IAM user, with MFA, and switches to the instances' role."""
    name, role, at = "nina.keller", "orders-api", day(10, 13, 2, 11)
    nina = Caller(PRODUCTION, shapes.user(PRODUCTION, name), OFFICE, shapes.CHROME)
    trail.call(at, nina, shapes.console_login(mfa=True))
    signed_in = shapes.user(PRODUCTION, name, created=iso(at), mfa=True)
    wander(trail, at + 20, replace(nina, identity=signed_in, console=True), 3, list(calls.CONSOLE))
    at = day(10, 13, 31, 40)
    switch = replace(nina, identity=signed_in | {"accessKeyId": trail.key()}, agent=shapes.JAVA_CONSOLE_SWITCH)
    trail.assume(at, switch, PRODUCTION, role, name)
    in_role = shapes.role_session(PRODUCTION, role, name, None, iso(at), mfa=True)
    arrival = shapes.console_login(name="SwitchRole")
    came_from = {
        "SwitchFrom": f"arn:aws:iam::{PRODUCTION}:user/{name}",
        "RedirectTo": f"https://{REGION}.console.aws.amazon.com/console/home?region={REGION}",
    }
    visitor = replace(nina, identity=in_role)
    trail.call(at, visitor, arrival._replace(additional=came_from))
    wander(trail, at + 8, replace(visitor, console=True), 12, SECRETS)


def developer_takes_task_role_into_cloudshell(trail: Trail) -> None:
    """Thursday 12th, late: marek.novak assumes the tasks' role, trades its key for a sign-in, and opens CloudShell."""
    name, role, marek = "marek.novak", "billing-worker", PEOPLE[3]
    desk = type_away(trail, day(12, 21, 20, 5), marek)
    at = day(12, 21, 41, 30)
    key = trail.assume(at, desk, STAGING, role, name)
    identity = shapes.role_session(STAGING, role, name, key, iso(at))
    trader = Caller(STAGING, identity, marek.address, "python-requests/2.32.3")
    token = {"credentials": {"accessKeyId": key}, "GetSigninToken": "Success"}
    plain = {"MobileVersion": "No", "MFAUsed": "No"}
    trail.call(at + 3, trader, shapes.console_login(name="GetSigninToken")._replace(response=token, additional=plain))
    keyless = {field: value for field, value in identity.items() if field != "accessKeyId"}
    visitor = replace(trader, identity=keyless, agent=marek.browser)
    trail.call(at + 9, visitor, shapes.console_login())
    for name_, reads in (("CreateEnvironment", False), ("GetEnvironmentStatus", True), ("CreateSession", False)):
        at += 11
        in_browser = replace(visitor, identity=keyless | {"accessKeyId": trail.key()}, console=True)
        trail.call(at, in_browser, Call("cloudshell", name_, reads=reads))
    shell = replace(in_browser, console=False, agent=shapes.CLOUDSHELL, address="198.51.100.211", name="billing")
    for call in (calls.TERMINAL[0], *SECRETS[:3], calls.TERMINAL[2], calls.TERMINAL[4], calls.TERMINAL[12]):
        at += trail.rng.randint(15, 90)
        trail.call(at, shell, call, denied=call.source == "iam")


def root_with_and_without_reason(trail: Trail) -> None:
    """Let the management account's root change a contact as planned, and production's come by night, without MFA."""
    at = day(4, 10, 5, 12)
    owner = Caller(MANAGEMENT, shapes.root(MANAGEMENT), OFFICE, shapes.CHROME, region=GLOBAL_REGION)
    trail.call(at, owner, shapes.console_login(mfa=True))
    by_day = replace(owner, identity=shapes.root(MANAGEMENT, trail.key(), iso(at), mfa=True), console=True)
    contact = {"alternateContactType": "SECURITY", "name": "HIDDEN_DUE_TO_SECURITY_REASONS"}
    trail.call(at + 95, by_day, Call("account", "PutAlternateContact", contact, reads=False))
    at = day(14, 3, 17, 48)
    stranger = Caller(PRODUCTION, shapes.root(PRODUCTION), "198.51.100.200", shapes.FIREFOX, region=GLOBAL_REGION)
    trail.call(at, stranger, shapes.console_login())
    by_night = replace(stranger, identity=shapes.root(PRODUCTION, trail.key(), iso(at)), console=True)
    trail.call(at + 41, by_night, Call("iam", "ListUsers", {"maxItems": 1000}))
    trail.call(at + 88, by_night, Call("iam", "GetAccountSummary"))


def user_signs_in_without_mfa(trail: Trail) -> None:
    """Thursday 5th: tomas.berg of staging signs in as an IAM user, without MFA, and looks at logs."""
    at = day(5, 8, 44, 9)
    tomas = Caller(STAGING, shapes.user(STAGING, "tomas.berg"), OFFICE, shapes.EDGE)
    trail.call(at, tomas, shapes.console_login())
    signed_in = replace(tomas, identity=shapes.user(STAGING, "tomas.berg", created=iso(at)), console=True)
    wander(trail, at + 15, signed_in, 5, list(calls.CONSOLE))


def password_is_guessed(trail: Trail) -> None:
    """Wednesday 11th, by night: seven failures in six minutes against clara.weiss, then a success, without MFA."""
    at = day(11, 2, 14, 3)
    refused = shapes.user_refused(PRODUCTION, "clara.weiss")
    guesser = Caller(PRODUCTION, refused, "192.0.2.177", shapes.FIREFOX)
    for pause_s in (0, 47, 52, 49, 61, 55, 48):
        at += pause_s
        trail.call(at, guesser, shapes.console_login(failure="Failed authentication"))
    at += 66
    inside = replace(guesser, identity=shapes.user(PRODUCTION, "clara.weiss"))
    trail.call(at, inside, shapes.console_login())
    signed_in = replace(inside, identity=shapes.user(PRODUCTION, "clara.weiss", created=iso(at)), console=True)
    wander(trail, at + 30, signed_in, 6, list(calls.CONSOLE))


def names_are_tried(trail: Trail) -> None:
    """Friday 6th: thirteen sign-ins to staging from one address within nine minutes, all with names that no user has."""
    nobody = Caller(STAGING, shapes.user_refused(STAGING, None), "198.51.100.77", shapes.CHROME)
    for attempt in range(13):
        at = day(6, 23, 5, 10) + attempt * 43
        trail.call(at, nobody, shapes.console_login(failure="No username found in supplied account"))


# What looks like it and is nothing


def near_misses(trail: Trail) -> None:
    """Let happen what only looks like the console, like root, like an attack."""
    for number in (3, 7, 9, 13):
        at = day(number, 4, 11, 20)
        host = "autoscaling.amazonaws.com"
        on_behalf = replace(of_service(host, PRODUCTION), identity=shapes.root(PRODUCTION, invokedBy=host))
        trail.call(at, on_behalf, calls.SERVICE_LINKED[3][3])
    reports, instance = "report-writer", "i-0a1b2c3d4e5f60718"
    identity = shapes.role_session(
        PRODUCTION, reports, instance, trail.key(), iso(day(4)), context={"ec2RoleDelivery": "2.0"}
    )
    reader = Caller(PRODUCTION, identity, "203.0.113.130", shapes.CHROME, "reports")
    for number in (4, 5, 11):
        trail.call(day(number, 9, 12, 30), reader, calls.bucket_object("GetObject", "QueryString"))
    at = day(9, 8, 2, 15)
    paul = Caller(PRODUCTION, shapes.user_refused(PRODUCTION, "paul.lindt"), OFFICE, shapes.FIREFOX)
    for pause_s in (0, 24):
        trail.call(at + pause_s, paul, shapes.console_login(failure="Failed authentication"))
    for number in (3, 10):
        at = day(number, 15, 20, 5)
        sofia = PEOPLE[2]
        visitor = sign_in_by_identity_center(trail, at, sofia)
        shell = visitor.through(shapes.CLOUDSHELL, "198.51.100.215")
        wander(trail, at + 60, shell, 4, list(calls.TERMINAL))


def make(seed: int = SEED) -> dict[str, bytes]:
    """Make the whole trail: path to content."""
    trail = Trail(seed)
    script = Caller(
        PRODUCTION, shapes.user(PRODUCTION, "backup-script", trail.key("AKIA")), CRON_HOST, shapes.BOTO_CRON, "backup"
    )
    exporter = f"{shapes.BOTO_INSTANCE} app/console-metrics-exporter"  # no console, for all its name
    for number in range(2, 2 + DAYS):
        instances(
            trail,
            number,
            "orders-api",
            PRODUCTION,
            ("i-0f1e2d3c4b5a69788", "i-0918273645f0e1d2c"),
            shapes.GO_INSTANCE,
            "orders",
        )
        instances(trail, number, "report-writer", PRODUCTION, ("i-0a1b2c3d4e5f60718",), shapes.BOTO_INSTANCE, "reports")
        instances(trail, number, "metrics-exporter", STAGING, ("i-0b2c3d4e5f6071829",), exporter, "metrics")
        function(trail, number)
        tasks(trail, number)
        services(trail, number)
        cron(trail, number, script)
        if is_workday(number):
            for hour in (10, 14):
                deployment(trail, day(number, hour, trail.rng.randrange(50), trail.rng.randrange(60)))
            for person in PEOPLE:
                workday(trail, number, person)
    engineer_switches_to_machine_role(trail)
    developer_takes_task_role_into_cloudshell(trail)
    root_with_and_without_reason(trail)
    user_signs_in_without_mfa(trail)
    password_is_guessed(trail)
    names_are_tried(trail)
    near_misses(trail)
    return trail.files()


def main() -> None:
    """Write the trail where the argument says, else beside this file; say what it came to."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample-trail"
    made = make()
    for path, content in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    records = sum(len(json.loads(gzip.decompress(content))["Records"]) for content in made.values())
    print(f"{records:,} records in {len(made)} files, {sum(map(len, made.values())):,} bytes")


if __name__ == "__main__":
    main()
