"""Who may do what: grants that are too broad, by several doors; passwords for others; providers; trails put out of action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from streams.sources.simulated import calls
from streams.sources.simulated.callers import Caller, Made
from streams.sources.simulated.calls import change, document
from streams.sources.simulated.people import Person
from streams.sources.simulated.shapes import GITHUB, Json, role_arn, unique_id
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.story import Story


class Broad(NamedTuple):
    """One statement that is too broad, and how severe that is."""

    severity: str
    statement: Json


def _allow(action: str | list[str], resource: str | list[str] = "*", **more: object) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


# By rule: statements of which the seed chooses one. Spellings are as careless, or as sly, as in life.
BROAD: Final[dict[str, tuple[Broad, ...]]] = {
    "w1": (Broad("critical", _allow("*")), Broad("critical", _allow("*:*")), Broad("critical", _allow(["s3:GetObject", "*"]))),
    "w2": (
        Broad("high", _allow("ec2:*")),
        Broad("high", _allow(["dynamodb:*", "logs:PutLogEvents"])),
        Broad("critical", _allow("kms:*")),
        Broad("critical", _allow("SecretsManager:*")),
        Broad("critical", _allow("sts:*")),
    ),
    "w3": (
        Broad("high", _allow("s3:Put*")),
        Broad("high", _allow("iam:*Policy")),
        Broad("medium", _allow("dynamodb:*Item")),
        Broad("low", _allow("secretsmanager:Get*")),
        Broad("high", _allow("lambda:?dd*")),
    ),
    "w4": (
        Broad("high", {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"}),
        Broad("critical", {"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}),
    ),
    "w5": (
        Broad("medium", {"Effect": "Allow", "Action": "s3:PutObject", "NotResource": "arn:aws:s3:::example-audit/*"}),
        Broad("high", {"Effect": "Allow", "Action": "iam:AttachRolePolicy", "NotResource": "arn:aws:iam::<account>:role/admin"}),
    ),
    "w6": (
        Broad("high", _allow(["s3:PutBucketPolicy"])),
        Broad("medium", _allow(["dynamodb:PutItem", "dynamodb:DeleteItem"])),
        Broad("medium", _allow("sqs:SendMessage")),
        Broad("low", _allow(["s3:GetObject"])),
    ),
    "w7": (Broad("high", _allow("iam:PassRole")), Broad("high", _allow("iam:PassRole", "arn:aws:iam::<account>:role/*"))),
}  # fmt: skip


def _typist(stage: Stage, account: str, at: int) -> tuple[list[Made], Caller, Person]:
    """Let an administrator sit down at his terminal; the third one clicks instead."""
    person = stage.administrator(account)
    if stage.rng.random() < 0.35:
        came, visitor = person.sign_in(stage.rng, at - 300)
        visitor.key = stage.key()
        return came, visitor, person
    came, desk = person.open_terminal(stage.rng, at - 300)
    return came, desk, person


def _wildcard(rule: str) -> Callable[[Stage], list[Made]]:
    def tell(stage: Stage) -> list[Made]:
        at = stage.moment(0.2)
        broad = stage.rng.choice(BROAD[rule])
        return _granted(stage, at, broad, tolerated=("admin-granted",) if rule != "w1" else (), is_admin=rule == "w1")

    tell.__doc__ = f"Somebody grants what rule {rule.upper()} is about, by one of several doors."
    return tell


def _granted(stage: Stage, at: int, broad: Broad, *, tolerated: tuple[str, ...], is_admin: bool) -> list[Made]:
    rng = stage.rng
    door = rng.choice(("put-role", "put-user", "put-group", "create-and-attach", "new-version"))
    workload, made = stage.workload(rng.choice(("ecs", "lambda", "ec2")), by=at)
    account = workload.account
    came, typist, person = _typist(stage, account, at)
    name = f"{workload.name}-{rng.choice(('access', 'temp', 'debug', 'migration', 'full'))}-{rng.randrange(100)}"
    text = document({"Sid": "Stmt" + str(rng.randrange(10**6)), **broad.statement})
    arn = f"arn:aws:iam::{account}:policy/{name}"
    holder, subject = workload.who.arn, name
    match door:
        case "put-role":
            asked = [
                change("iam", "PutRolePolicy", {"roleName": workload.role, "policyName": name, "policyDocument": text})
            ]
        case "put-user":
            script, ran = stage.script(until=at)
            made += ran
            if script.account != account:
                came, typist, person = _typist(stage, script.account, at)
            holder = script.who.arn
            asked = [
                change("iam", "PutUserPolicy", {"userName": script.user, "policyName": name, "policyDocument": text})
            ]
        case "put-group":
            group = f"{workload.name}-team"
            holder = f"arn:aws:iam::{account}:group/{group}"
            asked = [change("iam", "PutGroupPolicy", {"groupName": group, "policyName": name, "policyDocument": text})]
        case "create-and-attach":
            subject = arn
            asked = [
                change(
                    "iam",
                    "CreatePolicy",
                    {"policyName": name, "policyDocument": text},
                    {"policy": _policy_made(name, arn)},
                ),
                change("iam", "AttachRolePolicy", {"roleName": workload.role, "policyArn": arn}),
            ]
        case _:
            holder = subject = arn
            narrow = document(_allow("s3:GetObject", f"arn:aws:s3:::example-{workload.name}-<account>/{name}/*"))
            asked = [
                change(
                    "iam",
                    "CreatePolicy",
                    {"policyName": name, "policyDocument": narrow},
                    {"policy": _policy_made(name, arn)},
                ),
                change("iam", "AttachRolePolicy", {"roleName": workload.role, "policyArn": arn}),
                change(
                    "iam",
                    "CreatePolicyVersion",
                    {"policyArn": arn, "policyDocument": text, "setAsDefault": True},
                    {"policyVersion": {"versionId": "v2", "isDefaultVersion": True, "createDate": "<time>"}},
                ),
            ]
    own = stage.paced(at, typist, asked, gap_s=40, key_each=typist.manner.console)
    stage.finding("wildcard-grant", holder, own[-1:], subject=subject, severity=broad.severity)
    who = workload.who.arn if holder == arn else holder
    if is_admin:
        stage.finding("admin-granted", who, own[-1:], severity="critical")
    for detector in (*tolerated, "grant-outside-pipeline", "behaviour-anomaly"):
        stage.tolerate(detector, who, own)
    stage.tolerate("behaviour-anomaly", person.who.arn, own)
    if holder != arn and door == "create-and-attach":
        stage.tolerate("wildcard-grant", arn, own[:1])  # the policy itself, before anybody holds it
    return made + came + own


def _policy_made(name: str, arn: str) -> Json:
    return {
        "policyName": name, "policyId": unique_id("ANPA", arn), "arn": arn, "path": "/", "defaultVersionId": "v1",
        "attachmentCount": 0, "isAttachable": True, "createDate": "<time>",
    }  # fmt: skip


def public_principal(stage: Stage) -> list[Made]:
    """W8: everybody is let in, by a role's trust or by a bucket's policy."""
    at = stage.moment(0.2)
    workload, made = stage.workload("ec2", by=at)
    came, typist, _ = _typist(stage, workload.account, at)
    if stage.rng.random() < 0.5:
        trust = document({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
        asked = change("iam", "UpdateAssumeRolePolicy", {"roleName": workload.role, "policyDocument": trust})
        holder, subject, severity = workload.who.arn, "trust", "critical"
    else:
        bucket = f"example-{workload.name}-{stage.rng.randrange(1000)}-{workload.account}"
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        asked = change("s3", "PutBucketPolicy", {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com", "policy": "", "bucketPolicy": policy}, resources=({"type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}", "accountId": "<account>"},))  # fmt: skip
        holder, subject, severity = f"arn:aws:s3:::{bucket}", "resource-policy", "high"
    own = stage.paced(at, typist, [asked])
    stage.finding("wildcard-grant", holder, own, subject=subject, severity=severity)
    stage.tolerate("grant-outside-pipeline", holder, own)
    return made + came + own


def foreign_trust(stage: Stage) -> list[Made]:
    """W9: a role comes to trust an account that nobody knows, without ExternalId."""
    at = stage.moment(0.2)
    workload, made = stage.workload("ec2", by=at)
    came, typist, _ = _typist(stage, workload.account, at)
    trust = document(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{stage.organisation.foreign_account}:root"}, "Action": "sts:AssumeRole"},
    )  # fmt: skip
    own = stage.paced(
        at, typist, [change("iam", "UpdateAssumeRolePolicy", {"roleName": workload.role, "policyDocument": trust})]
    )
    stage.finding("wildcard-grant", workload.who.arn, own, subject="trust", severity="high")
    stage.tolerate("grant-outside-pipeline", workload.who.arn, own)
    return made + came + own


def open_federation(stage: Stage) -> list[Made]:
    """W10: a new role may be assumed by every repository at GitHub."""
    at = stage.moment(0.2)
    account = stage.rng.choice(stage.organisation.members).id
    came, typist, _ = _typist(stage, account, at)
    role = f"github-{stage.rng.choice(stage.organisation.names)}-{stage.rng.randrange(1000)}"
    conditions: list[Json] = [
        {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}},
        {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}, "StringLike": {f"{GITHUB}:sub": "repo:example-org/*"}},
    ]
    trust = document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{GITHUB}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": stage.rng.choice(conditions),
        }
    )
    arn = role_arn(account, role)
    answer = {"role": {"roleName": role, "roleId": unique_id("AROA", f"{account}/{role}"), "arn": arn, "path": "/", "createDate": "<time>"}}  # fmt: skip
    own = stage.paced(
        at, typist, [change("iam", "CreateRole", {"roleName": role, "assumeRolePolicyDocument": trust}, answer)]
    )
    stage.finding("wildcard-grant", arn, own, subject="trust", severity="high")
    stage.tolerate("grant-outside-pipeline", arn, own)
    return came + own


def admin_granted(stage: Stage) -> list[Made]:
    """AWS's AdministratorAccess is attached to a script's user."""
    at = stage.moment(0.2)
    script, made = stage.script(until=at)
    came, typist, _ = _typist(stage, script.account, at)
    policy = "arn:aws:iam::aws:policy/AdministratorAccess"
    own = stage.paced(at, typist, [change("iam", "AttachUserPolicy", {"userName": script.user, "policyArn": policy})])
    stage.finding("admin-granted", script.who.arn, own, severity="critical")
    stage.finding("wildcard-grant", script.who.arn, own, subject=policy, severity="critical")
    stage.tolerate("grant-outside-pipeline", script.who.arn, own)
    return made + came + own


def outside_pipeline(stage: Stage) -> list[Made]:
    """A person adds a policy to a role that Terraform made and has always kept."""
    at = stage.moment(0.5)
    rng = stage.rng
    pipeline = rng.choice(stage.automation.pipelines)
    number = rng.getrandbits(20)
    role = f"{pipeline.name}-kept-{number}"
    kept = calls.pipeline_writes(pipeline.name, role, f"{pipeline.name}-kept-queue-{number}", "lambda.amazonaws.com")
    made: list[Made] = []
    for part, writes in ((0.05, kept[:4]), (0.15, kept[4:6]), (0.25, kept[6:7])):
        came_at = stage.plan.start_at + round((at - stage.plan.start_at) * part) + rng.randrange(600)
        came, runner = pipeline.come(rng, came_at)
        issued, terraform = pipeline.go_on(rng, came_at + 20, runner)
        made += came + issued + stage.paced(came_at + 40, terraform, writes, gap_s=4)
    came, typist, _ = _typist(stage, pipeline.target, at)
    narrow = document(_allow("s3:GetObject", f"arn:aws:s3:::example-{pipeline.name}-<account>/by-hand/*"))
    own = stage.paced(
        at,
        typist,
        [change("iam", "PutRolePolicy", {"roleName": role, "policyName": "by-hand", "policyDocument": narrow})],
    )
    stage.finding("grant-outside-pipeline", role_arn(pipeline.target, role), own, severity="low")
    return made + came + own


def login_profile_for_another(stage: Stage) -> list[Made]:
    """Somebody gives a script's user a password: a way back in."""
    at = stage.moment(0.3)
    script, made = stage.script(until=at)
    came, thief = stage.administrator(script.account).open_terminal(
        stage.rng, at - 60, stage.organisation.foreign_address(stage.rng)
    )
    answer = {"loginProfile": {"userName": script.user, "createDate": "<time>", "passwordResetRequired": False}}
    own = stage.paced(
        at,
        thief,
        [change("iam", "CreateLoginProfile", {"userName": script.user, "passwordResetRequired": False}, answer)],
    )
    stage.finding("login-profile-for-another", script.who.arn, own, severity="medium")
    return made + came + own


def _trail(stage: Stage, account: str) -> tuple[str, str]:
    name = f"{stage.rng.choice(('org', 'audit', 'main', 'security'))}-trail-{stage.rng.randrange(100)}"
    return name, f"arn:aws:cloudtrail:{stage.organisation.home_region(account)}:{account}:trail/{name}"


def trail_stopped(stage: Stage) -> list[Made]:
    """A trail is stopped, or deleted."""
    at = stage.moment(0.2)
    account = stage.rng.choice(stage.organisation.members).id
    came, typist, person = _typist(stage, account, at)
    name, arn = _trail(stage, account)
    door = stage.rng.choice(("StopLogging", "DeleteTrail"))
    own = stage.paced(at, typist, [change("cloudtrail", door, {"name": stage.rng.choice((name, arn))})])
    stage.finding("trail-tampering", arn, own, severity="high")
    stage.tolerate("behaviour-anomaly", person.who.arn, own)
    return came + own


def trail_logs_less(stage: Stage) -> list[Made]:
    """A trail goes on, but leaves out what is read."""
    at = stage.moment(0.2)
    account = stage.rng.choice(stage.organisation.members).id
    came, typist, _ = _typist(stage, account, at)
    name, arn = _trail(stage, account)
    selectors = [{"readWriteType": "WriteOnly", "includeManagementEvents": stage.rng.random() < 0.5, "dataResources": [], "excludeManagementEventSources": ["kms.amazonaws.com"]}]  # fmt: skip
    own = stage.paced(
        at,
        typist,
        [
            change(
                "cloudtrail",
                "PutEventSelectors",
                {"trailName": name, "eventSelectors": selectors},
                {"trailARN": arn, "eventSelectors": selectors},
            )
        ],
    )
    stage.finding("trail-tampering", arn, own, severity="medium")
    return came + own


def other_logs_gone(stage: Stage) -> list[Made]:
    """Flow logs, AWS Config's recorder or GuardDuty are taken away."""
    at = stage.moment(0.2)
    account = stage.rng.choice(stage.organisation.members).id
    region = stage.organisation.home_region(account)
    came, typist, _ = _typist(stage, account, at)
    number = f"{stage.rng.getrandbits(64):016x}"
    asked, arn = stage.rng.choice(
        (
            (change("ec2", "DeleteFlowLogs", {"DeleteFlowLogsRequest": {"FlowLogId": {"tag": 1, "content": f"fl-0{number}"}}}, {"DeleteFlowLogsResponse": {"unsuccessful": ""}}), f"arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-0{number}"),
            (change("config", "StopConfigurationRecorder", {"configurationRecorderName": "default"}), f"arn:aws:config:{region}:{account}:config-recorder/default"),
            (change("guardduty", "DeleteDetector", {"detectorId": number * 2}), f"arn:aws:guardduty:{region}:{account}:detector/{number * 2}"),
        )
    )  # fmt: skip
    own = stage.paced(at, typist, [asked])
    stage.finding("trail-tampering", arn, own, severity="high")
    return came + own


def identity_provider_changed(stage: Stage) -> list[Made]:
    """A SAML or OIDC provider, or a trust anchor, is made or given new metadata."""
    at = stage.moment(0.2)
    account = stage.rng.choice(stage.organisation.members).id
    region = stage.organisation.home_region(account)
    came, typist, _ = _typist(stage, account, at)
    anchor = f"arn:aws:rolesanywhere:{region}:{account}:trust-anchor/{stage.rng.getrandbits(64):016x}"
    asked, arn = stage.rng.choice(
        (
            (change("iam", "UpdateSAMLProvider", {"sAMLProviderArn": f"arn:aws:iam::{account}:saml-provider/corp-idp", "sAMLMetadataDocument": "HIDDEN_DUE_TO_SECURITY_REASONS"}), f"arn:aws:iam::{account}:saml-provider/corp-idp"),
            (change("iam", "CreateOpenIDConnectProvider", {"url": "https://login.example.net", "clientIDList": ["sts.amazonaws.com"], "thumbprintList": []}, {"openIDConnectProviderArn": f"arn:aws:iam::{account}:oidc-provider/login.example.net"}), f"arn:aws:iam::{account}:oidc-provider/login.example.net"),
            (change("rolesanywhere", "CreateTrustAnchor", {"name": "partner", "enabled": True, "source": {"sourceType": "CERTIFICATE_BUNDLE"}}, {"trustAnchor": {"trustAnchorArn": anchor, "name": "partner", "enabled": True}}), anchor),
        )
    )  # fmt: skip
    own = stage.paced(at, typist, [asked])
    stage.finding("identity-provider-changed", arn, own, severity="medium")
    return came + own


STORIES: Final = (
    *(
        Story(f"wildcard-{rule}", _wildcard(rule), ("wildcard-grant", *(("admin-granted",) if rule == "w1" else ())))
        for rule in BROAD
    ),
    Story("wildcard-w8", public_principal, ("wildcard-grant",)),
    Story("wildcard-w9", foreign_trust, ("wildcard-grant",)),
    Story("wildcard-w10", open_federation, ("wildcard-grant",)),
    Story("admin-granted", admin_granted, ("admin-granted", "wildcard-grant")),
    Story("grant-outside-pipeline", outside_pipeline, ("grant-outside-pipeline",), min_days=4),
    Story("login-profile-for-another", login_profile_for_another, ("login-profile-for-another",)),
    Story("trail-stopped", trail_stopped, ("trail-tampering",)),
    Story("trail-logs-less", trail_logs_less, ("trail-tampering",)),
    Story("other-logs-gone", other_logs_gone, ("trail-tampering",)),
    Story("identity-provider-changed", identity_provider_changed, ("identity-provider-changed",)),
)
