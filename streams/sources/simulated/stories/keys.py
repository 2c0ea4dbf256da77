"""Keys in the wrong hands, sessions carried elsewhere, and those who look around first."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Manner, Stream
from streams.sources.simulated.calls import change
from streams.sources.simulated.clients import Client, fixed_client
from streams.sources.simulated.organisation import DAY, HOUR, MINUTE
from streams.sources.simulated.pipelines import Script
from streams.sources.simulated.shapes import Call, Json
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.console import SECRETS
from streams.sources.simulated.stories.story import Story

WHO_AM_I: Final = Call("sts", "GetCallerIdentity")
LOOT: Final = (
    *SECRETS[:4],
    Call("s3", "ListBuckets", {"Host": "s3.<region>.amazonaws.com"}),
    Call("ec2", "DescribeSnapshots", {"ownersSet": {"items": [{"owner": "self"}]}, "snapshotSet": {}, "filterSet": {}}),
    Call("ses", "GetAccount"),
    Call("lambda", "ListFunctions20150331", {"maxItems": 50}),
)
# What somebody new asks for who wants to know what there is.
LOOKS: Final = tuple(
    Call(source, name)
    for source, name in (
        ("iam", "ListUsers"), ("iam", "ListRoles"), ("iam", "ListGroups"), ("iam", "ListPolicies"), ("iam", "GetAccountSummary"),
        ("iam", "GetAccountAuthorizationDetails"), ("iam", "ListAccessKeys"), ("iam", "GetAccountPasswordPolicy"),
        ("iam", "ListSAMLProviders"), ("iam", "ListInstanceProfiles"), ("organizations", "ListAccounts"),
        ("organizations", "DescribeOrganization"), ("s3", "ListBuckets"), ("ec2", "DescribeInstances"), ("ec2", "DescribeVpcs"),
        ("ec2", "DescribeSecurityGroups"), ("ec2", "DescribeSnapshots"), ("ec2", "DescribeKeyPairs"), ("rds", "DescribeDBInstances"),
        ("lambda", "ListFunctions20150331"), ("secretsmanager", "ListSecrets"), ("ssm", "DescribeParameters"),
        ("ssm", "DescribeInstanceInformation"), ("kms", "ListKeys"), ("kms", "ListAliases"), ("dynamodb", "ListTables"),
        ("cloudtrail", "DescribeTrails"), ("cloudtrail", "GetTrailStatus"), ("guardduty", "ListDetectors"),
        ("config", "DescribeConfigurationRecorders"), ("ecr", "DescribeRepositories"), ("ecs", "ListClusters"),
        ("eks", "ListClusters"), ("sns", "ListTopics"), ("sqs", "ListQueues"), ("route53", "ListHostedZones"),
        ("cloudformation", "ListStacks"), ("ses", "ListIdentities"), ("bedrock", "ListFoundationModels"),
        ("servicequotas", "ListServiceQuotas"), ("support", "DescribeCases"), ("elasticloadbalancing", "DescribeLoadBalancers"),
    )
)  # fmt: skip


def _thief(stage: Stage, script: Script, kind: str = "cli-linux-env", address: str | None = None) -> Caller:
    client, foreign = stage.attacker(kind)
    return stage.with_key(script.account, script.user, script.key, client, address or foreign)


def _also(stage: Stage, script: Script, own: list[Made], *but: str) -> None:
    """Put down what else may be said when a key is used from a place and with a client that are new to it."""
    for detector in ("key-new-network", "key-shared", "key-probe", "class-flip", "mixed-role", "behaviour-anomaly"):
        if detector not in but:
            stage.tolerate(detector, script.who.arn, own)


def key_new_network(stage: Stage) -> list[Made]:
    """A script's key is used by a stranger, from a network and with a client that it never had."""
    at = stage.moment(0.6)
    script, made = stage.script()
    thief = _thief(stage, script, stage.rng.choice(("cli-linux-env", "boto-linux-env")))
    own = stage.paced(at, thief, stage.rng.sample(LOOT, 6), gap_s=50, denied=0.4)
    stage.finding("key-new-network", script.who.arn, own, severity="high")
    _also(stage, script, own, "key-new-network")
    return made + own


def key_shared(stage: Stage) -> list[Made]:
    """Two servers far from each other use one key, at the same time, from the first day on."""
    script, made = stage.script(runs=3)
    elsewhere = _thief(stage, script, "boto-cron", stage.organisation.home_address(stage.rng))
    own: list[Made] = []
    at = stage.plan.start_at + HOUR
    while at < stage.plan.end_at - HOUR and len(own) < 60:
        own += stage.paced(at, elsewhere, calls.SCRIPT[:3], gap_s=5)
        at += max(5 * HOUR, stage.plan.days * DAY // 20)
    stage.finding(
        "key-shared", script.who.arn, sorted(made + own, key=_when)[: len(own)], subject=script.key, severity="medium"
    )
    _also(stage, script, own, "key-shared")
    return made + own


def instance_credentials_outside(stage: Stage) -> list[Made]:
    """An instance's credentials are carried away and used from outside its addresses."""
    at = stage.moment(0.5)
    workload, made = stage.workload("ec2")
    session = workload.new_session()
    span_s = min(2 * DAY, at - stage.plan.start_at - HOUR)
    for before_s in sorted((int(stage.rng.random() * span_s) for _ in range(8)), reverse=True):
        made += workload.work(stage.rng, at - MINUTE - before_s, session)
    client, address = stage.attacker(stage.rng.choice(("cli-linux-env", "boto-linux-env", "pacu")))
    thief = session.through(client, address, manner=Manner())
    asked = (WHO_AM_I, *stage.rng.sample(LOOT, 5))
    own = stage.paced(at, thief, asked, gap_s=40, denied=0.3)
    made += workload.work(stage.rng, at + 200, session)
    stage.finding("instance-credentials-outside", workload.who.arn, own, severity="high")
    stage.tolerate("credential-source-mismatch", workload.who.arn, own)
    stage.tolerate("class-flip", workload.who.arn, own)
    stage.tolerate("behaviour-anomaly", workload.who.arn, own)
    return made + own


def credential_source_mismatch(stage: Stage) -> list[Made]:
    """On the instance itself somebody copies its credentials into the environment and works with them.

    Clients say where they have their credentials from since the new era alone.
    """
    at = stage.moment(0.5, era="new")
    workload, made = stage.workload("ec2")
    session = workload.new_session()
    made += workload.work(stage.rng, at - 2 * HOUR, session) + workload.work(stage.rng, at - 10 * MINUTE, session)
    shell = session.through(Client("boto-linux-env", stage.rng))
    own = stage.paced(at, shell, stage.rng.sample(calls.INSTANCE[1:9], 4))
    stage.finding("credential-source-mismatch", workload.who.arn, own, severity="low")
    stage.tolerate("class-flip", workload.who.arn, own)
    return made + own


def dormant_key_revived(stage: Stage) -> list[Made]:
    """A key that was quiet for over 90 days is used again."""
    plan = stage.plan
    script, made = stage.script(until=plan.start_at + 4 * DAY)
    at = made[-1].at + 91 * DAY + stage.rng.randrange((plan.end_at - made[-1].at - 91 * DAY) // 2)
    own = stage.paced(at, script.caller, calls.SCRIPT[:4])
    stage.finding("key-dormant-revived", script.who.arn, own, subject=script.key, severity="medium")
    return made + own


def second_active_key(stage: Stage) -> list[Made]:
    """A script's user gets a second key, and both go on."""
    script, made = stage.script()
    at = stage.moment(0.2, 0.4)
    at = max(at, made[0].at + 60)
    key = stage.key("AKIA")
    own = stage.paced(at, script.caller, [_create_key(None, script.user, key)])
    second = script.caller.through().take(key, 0)
    for number in range(1, 9):
        if at + number * DAY < stage.plan.end_at - HOUR:
            own += stage.paced(at + number * DAY, second, calls.SCRIPT[:2], gap_s=4)
    severity = "medium" if stage.plan.end_at - at > 9 * DAY else "low"
    stage.finding("key-second-active", script.who.arn, own, severity=severity, opened_at=own[0].at)
    stage.tolerate("key-made-then-used", script.who.arn, own)
    return made + own


def _create_key(asked_for: str | None, user: str, key: str) -> Call:
    answer: Json = {"accessKey": {"userName": user, "accessKeyId": key, "status": "Active", "createDate": "<time>"}}
    return change("iam", "CreateAccessKey", {"userName": asked_for} if asked_for else None, answer)


def key_for_another(stage: Stage) -> list[Made]:
    """An administrator makes a key for somebody else's user."""
    at = stage.moment(0.3)
    script, made = stage.script(until=at)
    came, desk = stage.administrator(script.account).open_terminal(stage.rng, at - 60)
    key = stage.key("AKIA")
    own = stage.paced(at, desk, [_create_key(script.user, script.user, key)])
    stage.finding("key-for-another", script.who.arn, own, subject=key, severity="medium")
    stage.tolerate("key-second-active", script.who.arn, own)
    return made + came + own


def key_made_then_used(stage: Stage) -> list[Made]:
    """A key is made for another user and, minutes later, used from a stranger's network."""
    at = stage.moment(0.4)
    script, made = stage.script()
    came, desk = stage.administrator(script.account).open_terminal(stage.rng, at - 60)
    key = stage.key("AKIA")
    making = stage.paced(at, desk, [_create_key(script.user, script.user, key)])
    client, address = stage.attacker("boto-linux-env")
    used = stage.paced(
        at + stage.rng.randrange(4, 40) * MINUTE,
        stage.with_key(script.account, script.user, key, client, address),
        stage.rng.sample(LOOT, 4),
        denied=0.3,
    )
    stage.finding("key-for-another", script.who.arn, making, subject=key, severity="medium")
    stage.finding("key-made-then-used", script.who.arn, used, subject=key, severity="medium")
    stage.tolerate("key-second-active", script.who.arn, making + used)
    _also(stage, script, used)
    return made + came + making + used


def _switch(script: Script, status: str) -> Call:
    return change("iam", "UpdateAccessKey", {"userName": script.user, "accessKeyId": script.key, "status": status})


def key_used_after_disable(stage: Stage) -> list[Made]:
    """A key is disabled, and its script goes on trying."""
    at = stage.moment(0.4, length_h=6)
    script, made = stage.script(until=at)
    came, desk = stage.administrator(script.account).open_terminal(stage.rng, at - 60)
    off = stage.paced(at, desk, [_switch(script, "Inactive")])
    own = stage.paced(at + 40 * MINUTE, script.caller, calls.SCRIPT[:3], denied=1.0)
    own += stage.paced(at + 4 * HOUR, script.caller, calls.SCRIPT[:2], denied=1.0)
    stage.finding("key-used-after-disable", script.who.arn, own, subject=script.key, severity="low")
    return made + came + off + own


def session_outlives_key(stage: Stage) -> list[Made]:
    """A session taken with a key, without MFA, goes on after the key is disabled."""
    at = stage.moment(0.4, length_h=8)
    script, made = stage.script(until=at)
    key = stage.key()
    answer: Json = {
        "credentials": {"accessKeyId": key, "sessionToken": "EXAMPLETOKEN", "expiration": shapes.expiry(at + 12 * HOUR)}
    }
    asking = stage.paced(at, script.caller, [Call("sts", "GetSessionToken", {"durationSeconds": 43200}, answer)])
    session = _user_session(stage, script).take(key, at)
    before = stage.paced(at + 5 * MINUTE, session, calls.SCRIPT[:3])
    came, desk = stage.administrator(script.account).open_terminal(stage.rng, at + HOUR)
    off = stage.paced(at + HOUR + 60, desk, [_switch(script, "Inactive")])
    after = stage.paced(at + 2 * HOUR, session, stage.rng.sample(LOOT, 4), gap_s=600)
    stage.finding("session-from-long-lived-key", script.who.arn, asking, subject=script.key, severity="low")
    stage.finding("session-outlives-key", script.who.arn, after, subject=script.key, severity="medium")
    stage.tolerate("behaviour-anomaly", script.who.arn, after)
    return made + asking + before + came + off + after


def _user_session(stage: Stage, script: Script) -> Caller:
    """Make the temporary session of a script's user."""
    return Caller(
        script.who,
        script.caller.stream,
        lambda key, created, _is_old: shapes.user(script.account, script.user, key, created),
        script.caller.client,
        script.caller.address,
        new_from=stage.plan.new_from,
        life_s=12 * HOUR,
        name=script.name,
        actor=script.who.arn,
    )


def federation_token(stage: Stage) -> list[Made]:
    """A key is turned into a federated session, which goes on from elsewhere."""
    at = stage.moment(0.4)
    script, made = stage.script(until=at)
    key, name = stage.key(), stage.rng.choice(("console", "support", "build"))
    arn = f"arn:aws:sts::{script.account}:federated-user/{name}"
    answer: Json = {
        "credentials": {
            "accessKeyId": key,
            "sessionToken": "EXAMPLETOKEN",
            "expiration": shapes.expiry(at + 12 * HOUR),
        },
        "federatedUser": {"federatedUserId": f"{script.account}:{name}", "arn": arn},
    }
    asking = stage.paced(
        at, script.caller, [Call("sts", "GetFederationToken", {"name": name, "durationSeconds": 43200}, answer)]
    )
    who = stage.ledger.meet(arn, "federated-user", "unknown", script.account, "federation-token")
    issuer = shapes.user(script.account, script.user)

    def identify(key: str, created: str, is_old: bool) -> Json:
        del is_old
        return {
            "type": "FederatedUser",
            "principalId": f"{script.account}:{name}",
            "arn": arn,
            "accountId": script.account,
            "accessKeyId": key,
            "sessionContext": {
                "sessionIssuer": {"type": "IAMUser", **{field: issuer[field] for field in ("principalId", "arn", "accountId", "userName")}},
                "attributes": {"creationDate": created, "mfaAuthenticated": "false"},
            },
        }  # fmt: skip

    federated = Caller(
        who, script.caller.stream, identify, script.caller.client, script.caller.address,
        new_from=stage.plan.new_from, life_s=12 * HOUR, name=script.name, actor=arn,
    ).take(key, at)  # fmt: skip
    own = stage.paced(at + 300, federated, stage.rng.sample(LOOT, 3))
    stage.finding("session-from-long-lived-key", script.who.arn, asking, subject=script.key, severity="low")
    return made + asking + own


def key_quarantined(stage: Stage) -> list[Made]:
    """AWS finds a key in public, and puts its quarantine policy on the user."""
    at = stage.moment(0.3)
    script, made = stage.script()
    policy = f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV{stage.rng.choice((2, 3))}"
    aws = Caller(
        stage.ledger.meet("AWS Internal", "service", "service", None, "aws"),
        Stream(script.account, shapes.GLOBAL_REGION),
        lambda _key, _created, _is_old: {"type": "AWSService", "invokedBy": "AWS Internal"},
        fixed_client("AWS Internal"),
        "AWS Internal",
        new_from=stage.plan.new_from,
        manner=Manner(direct=False),
    )
    own = stage.paced(at, aws, [change("iam", "AttachUserPolicy", {"userName": script.user, "policyArn": policy})])
    stage.finding("key-quarantined", script.who.arn, own, severity="critical")
    return made + own


def canary_key(stage: Stage) -> list[Made]:
    """A key laid out as bait is tried, in vain."""
    at = stage.moment()
    account = stage.rng.choice(stage.organisation.members).id
    user, key = f"{stage.rng.choice(stage.organisation.names)}-deploy-bot", stage.key("AKIA")
    stage.organisation.canaries.append(key)
    who = stage.user(account, user, "unknown", "canary")
    client, address = stage.attacker(stage.rng.choice(("cli-linux-env", "boto-linux-env", "scanner")))
    thief = stage.with_key(account, user, key, client, address)
    own = stage.paced(at, thief, stage.rng.sample(LOOT, 3), denied=1.0)
    stage.finding("canary-key", who.arn, own, subject=key, severity="critical")
    stage.tolerate("key-probe", who.arn, own)
    return own


def key_probe(stage: Stage) -> list[Made]:
    """A scanner that found a key asks whose it is."""
    at = stage.moment(0.5)
    script, made = stage.script()
    own = stage.paced(at, _thief(stage, script, stage.rng.choice(("scanner", "requests", "cli-linux-env"))), [WHO_AM_I])
    stage.finding("key-probe", script.who.arn, own, subject=script.key, severity="low")
    _also(stage, script, own, "key-probe")
    return made + own


def recon_burst(stage: Stage) -> list[Made]:
    """Somebody in a machine's role asks for all there is, and is mostly refused."""
    at = stage.moment(0.5)
    workload, made = stage.workload("ecs", by=at)
    session = workload.new_session()
    made += workload.work(stage.rng, at - 5 * MINUTE, session)
    own = stage.paced(at, session, stage.rng.sample(LOOKS, 34), gap_s=3, denied=0.75)
    stage.finding("recon-burst", workload.who.arn, own, severity="medium")
    stage.tolerate("behaviour-anomaly", workload.who.arn, own)
    return made + own


def one_api_over_many(stage: Stage) -> list[Made]:
    """A person's session asks for every instance's password, one after another, and is refused."""
    at = stage.moment(0.4)
    person = stage.person()
    came, desk = person.open_terminal(stage.rng, at - 100)
    asked = [Call("ec2", "GetPasswordData", {"instanceId": "i-0<hex>"}) for _ in range(24)]
    own = stage.paced(at, desk, asked, gap_s=2, denied=1.0)
    stage.finding("recon-burst", person.who.arn, own, severity="medium")
    stage.tolerate("behaviour-anomaly", person.who.arn, own)
    return came + own


def _when(made: Made) -> int:
    return made.at


STORIES: Final = (
    Story("key-new-network", key_new_network, ("key-new-network",), min_days=3),
    Story("key-shared", key_shared, ("key-shared",), min_days=3),
    Story("instance-credentials-outside", instance_credentials_outside, ("instance-credentials-outside",)),
    Story("credential-source-mismatch", credential_source_mismatch, ("credential-source-mismatch",)),
    Story("key-dormant-revived", dormant_key_revived, ("key-dormant-revived",), min_days=100),
    Story("key-second-active", second_active_key, ("key-second-active",), min_days=2),
    Story("key-for-another", key_for_another, ("key-for-another",)),
    Story("key-made-then-used", key_made_then_used, ("key-made-then-used", "key-for-another")),
    Story("key-used-after-disable", key_used_after_disable, ("key-used-after-disable",), min_days=2),
    Story("session-outlives-key", session_outlives_key, ("session-outlives-key", "session-from-long-lived-key"), min_days=2),
    Story("federation-token", federation_token, ("session-from-long-lived-key",)),
    Story("key-quarantined", key_quarantined, ("key-quarantined",)),
    Story("canary-key", canary_key, ("canary-key",)),
    Story("key-probe", key_probe, ("key-probe",), min_days=2),
    Story("recon-burst", recon_burst, ("recon-burst",)),
    Story("one-api-over-many", one_api_over_many, ("recon-burst",)),
)  # fmt: skip
