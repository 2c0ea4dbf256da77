"""One intrusion over hours and two accounts, from a leaked key to data carried out."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated.callers import Caller, Made, instant
from streams.sources.simulated.calls import change
from streams.sources.simulated.organisation import MINUTE
from streams.sources.simulated.shapes import Call, Json
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.console import SECRETS
from streams.sources.simulated.stories.keys import LOOKS, WHO_AM_I
from streams.sources.simulated.stories.story import Story

HOPS: Final = 3  # roles assumed, one after another


def attack_chain(stage: Stage) -> list[Made]:
    """Initial access by a script's key; discovery; persistence; escalation; three hops; evasion; exfiltration."""
    rng, finding = stage.rng, stage.finding
    at = stage.moment(0.6, length_h=7, night=True)
    script, made = stage.script()
    client, address = stage.attacker("cli-linux-env")
    user = script.who.arn
    thief = stage.with_key(script.account, script.user, script.key, client, address)

    entry = stage.paced(at, thief, [WHO_AM_I, *SECRETS[:2]], denied=0.3)
    finding("key-new-network", user, entry, severity="high")
    looked = stage.paced(at + 10 * MINUTE, thief, rng.sample(LOOKS, 30), gap_s=4, denied=0.6)
    finding("recon-burst", user, looked, severity="medium")

    other = f"{script.name}-reports-{rng.randrange(100)}"
    key = stage.key("AKIA")
    answer: Json = {"accessKey": {"userName": other, "accessKeyId": key, "status": "Active", "createDate": "<time>"}}
    kept = stage.paced(at + 40 * MINUTE, thief, [change("iam", "CreateAccessKey", {"userName": other}, answer)])
    other_arn = f"arn:aws:iam::{script.account}:user/{other}"
    finding("key-for-another", other_arn, kept, subject=key, severity="medium")

    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    raised = stage.paced(
        at + 55 * MINUTE, thief, [change("iam", "AttachUserPolicy", {"userName": script.user, "policyArn": admin})]
    )
    finding("admin-granted", user, raised, severity="critical")
    finding("wildcard-grant", user, raised, subject=admin, severity="critical")

    proof, hops, there = _hop(stage, at + 70 * MINUTE, thief)
    far = there.stream.account
    name = f"{rng.choice(('org', 'audit', 'main'))}-trail-{rng.randrange(100, 200)}"
    trail = f"arn:aws:cloudtrail:{there.stream.region}:{far}:trail/{name}"
    hidden = stage.paced(at + 100 * MINUTE, there, [change("cloudtrail", "StopLogging", {"name": trail})])
    finding("trail-tampering", trail, hidden, severity="high")

    bucket = f"example-{there.fixed['name']}-{rng.randrange(1000, 2000)}-{far}"
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}  # fmt: skip
    opened = change("s3", "PutBucketPolicy", {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com", "policy": "", "bucketPolicy": {"Version": "2012-10-17", "Statement": [statement]}})  # fmt: skip
    shared = change("ec2", "ModifySnapshotAttribute", {"snapshotId": "snap-0<hex>", "attributeType": "CREATE_VOLUME_PERMISSION", "createVolumePermission": {"add": {"items": [{"userId": stage.organisation.attacker_account}]}}}, {"_return": True})  # fmt: skip
    carried = stage.paced(at + 130 * MINUTE, there, [opened, shared])
    finding("wildcard-grant", f"arn:aws:s3:::{bucket}", carried[:1], subject="resource-policy", severity="high")

    own = [*entry, *looked, *kept, *raised, *hops, *hidden, *carried]
    finding("attack-chain", user, own, severity="critical")
    for detector in ("key-probe", "key-shared", "behaviour-anomaly", "class-flip"):
        stage.tolerate(detector, user, own)
    return [*made, *proof, *own]


def _hop(stage: Stage, at: int, thief: Caller) -> tuple[list[Made], list[Made], Caller]:
    """Go from role to role, the last ones in another account; gives the roles' past, the hops, and the thief there."""
    proof: list[Made] = []
    made: list[Made] = []
    here = thief
    for number in range(HOPS):
        workload = stage.fleet.take("ec2")
        while number > 0 and workload.account == thief.stream.account:
            workload = stage.fleet.take(stage.rng.choice(("ec2", "ecs", "lambda")))
        proof += stage.proof(workload, at)
        session = f"botocore-session-{at + number}"
        issued, key = stage.assume(at, here, workload.account, workload.role, session, path=workload.path)
        here = stage.session(
            workload.account, workload.role, session, thief.client, thief.address, path=workload.path, who=workload.who
        ).take(key, at)
        used = stage.paced(
            at + 60, here, [WHO_AM_I, Call("iam", "ListAttachedRolePolicies", {"roleName": workload.role})]
        )
        stage.tolerate("class-flip", workload.who.arn, used)
        stage.tolerate("behaviour-anomaly", workload.who.arn, used)
        made += issued + used
        at += 8 * MINUTE
    return proof, made, here


def console_chain(stage: Stage) -> list[Made]:
    """A guessed password; a password for another user; the trail's end: three stages of one user within an hour."""
    rng = stage.rng
    at = stage.moment(0.5, length_h=3, night=True)
    person = stage.person("user")
    person.has_mfa = False
    address = stage.organisation.foreign_address(rng)
    tried = []
    for _ in range(6):
        tried.append(person.fail_to_sign_in(rng, at, address))
        at += rng.randrange(25, 70)
    came, inside = person.sign_in(rng, at, address)
    other = f"{person.subject}-admin"
    answer: Json = {"loginProfile": {"userName": other, "createDate": "<time>", "passwordResetRequired": False}}
    kept = stage.paced(
        at + 400, inside, [change("iam", "CreateLoginProfile", {"userName": other}, answer)], key_each=True
    )
    trail = f"arn:aws:cloudtrail:{inside.stream.region}:{person.account.id}:trail/main-trail-{rng.randrange(200, 300)}"
    hidden = stage.paced(at + 1_500, inside, [change("cloudtrail", "DeleteTrail", {"name": trail})], key_each=True)
    stage.finding("console-login-failures", person.who.arn, tried + came, severity="high")
    stage.tolerate("console-login-failures", person.account.id, tried + came)
    stage.finding(
        "unfederated-console-login", person.who.arn, came, subject=f"console@{instant(at)}", severity="medium"
    )
    stage.finding(
        "login-profile-for-another", f"arn:aws:iam::{person.account.id}:user/{other}", kept, severity="medium"
    )
    stage.finding("trail-tampering", trail, hidden, severity="high")
    own = [*tried, *came, *kept, *hidden]
    stage.finding("attack-chain", person.who.arn, own, severity="critical")
    return own


STORIES: Final = (
    Story(
        "attack-chain",
        attack_chain,
        (
            "key-new-network",
            "recon-burst",
            "key-for-another",
            "admin-granted",
            "wildcard-grant",
            "trail-tampering",
            "attack-chain",
        ),
        min_days=3,
    ),
    Story(
        "console-chain",
        console_chain,
        (
            "console-login-failures",
            "unfederated-console-login",
            "login-profile-for-another",
            "trail-tampering",
            "attack-chain",
        ),
    ),
)
