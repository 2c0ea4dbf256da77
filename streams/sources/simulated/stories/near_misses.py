"""What only looks like an incident: a detector that makes something of it has raised a false alarm."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Made, Manner
from streams.sources.simulated.calls import change, document
from streams.sources.simulated.clients import BROWSERS, Client, fixed_client
from streams.sources.simulated.organisation import DAY, HOUR, MINUTE
from streams.sources.simulated.shapes import Call, Json
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.keys import WHO_AM_I
from streams.sources.simulated.stories.story import Story


def sso_role_in_console(stage: Stage) -> list[Made]:
    """A role of Identity Center is in the console, and in scripts: it is there for both."""
    at = stage.moment()
    person = stage.person()
    came, inside = person.sign_in(stage.rng, at)
    own = came + list(person.wander(stage.rng, at + 5, inside, 6, at + HOUR))
    shell = person.open_terminal(stage.rng, at + 50 * MINUTE)
    script = shell[1].through(Client("boto-linux-env", stage.rng))
    own += shell[0] + stage.paced(at + 55 * MINUTE, script, calls.SCRIPT[:3])
    stage.near_miss("machine-role-console", person.who.arn, own)
    return own


def sso_cloudshell(stage: Stage) -> list[Made]:
    """Somebody opens CloudShell in a role of Identity Center: its client takes credentials as a container does."""
    at = stage.moment()
    person = stage.person()
    came, inside = person.sign_in(stage.rng, at)
    inside.key = stage.key()
    shell = inside.through(
        Client("cloudshell", stage.rng), stage.organisation.cloud_address(stage.rng), manner=Manner()
    )
    own = came + stage.paced(at + 90, shell, calls.TERMINAL[:4])
    stage.near_miss("machine-role-console", person.who.arn, own)
    return own


def presigned_url(stage: Stage) -> list[Made]:
    """A browser fetches an object by a presigned URL that a machine's role made."""
    at = stage.moment()
    workload, made = stage.workload("ec2", by=at)
    session = workload.new_session()
    made += workload.work(stage.rng, at - 60, session)
    browser = session.through(
        Client(stage.rng.choice(BROWSERS), stage.rng), stage.organisation.home_address(stage.rng), manner=Manner()
    )
    own = [browser.call(stage.rng, at + 90 * number, _PRESIGNED) for number in range(3)]
    stage.near_miss("machine-role-console", workload.who.arn, own)
    stage.near_miss("instance-credentials-outside", workload.who.arn, own)
    return made + own


_PRESIGNED: Final = calls.bucket_object("GetObject", "QueryString")


def console_in_the_name(stage: Stage) -> list[Made]:
    """A machine's client is merely called something with "console"."""
    at = stage.moment()
    workload, made = stage.workload("ec2", by=at)
    session = workload.new_session()
    made += workload.work(stage.rng, at - 60, session)
    name = stage.rng.choice(("console-metrics-exporter", "web-console-backend", "myconsole/2.1", "ConsoleLogShipper"))
    exporter = session.through(fixed_client(f"{workload.client.new} app/{name}"))
    own = stage.paced(at, exporter, calls.INSTANCE[5:9])
    stage.near_miss("machine-role-console", workload.who.arn, own)
    return made + own


def on_roots_behalf(stage: Stage) -> list[Made]:
    """Services call on behalf of root: nobody uses root."""
    at = stage.moment()
    account = stage.rng.choice(stage.organisation.members).id
    own = []
    for number, host in enumerate(
        ("autoscaling.amazonaws.com", "support.amazonaws.com", "cloudformation.amazonaws.com")
    ):
        caller = stage.services.for_root(account, host)
        own.append(caller.call(stage.rng, at + 300 * number, calls.ON_ROOTS_BEHALF))
    stage.near_miss("root-use", f"arn:aws:iam::{account}:root", own)
    return own


def root_sign_in_failed(stage: Stage) -> list[Made]:
    """Somebody tries root's password once, in vain."""
    at = stage.moment()
    account = stage.root_account()
    caller = stage.root(account, Client("firefox", stage.rng), stage.organisation.foreign_address(stage.rng))
    own = [caller.take("", at).call(stage.rng, at, shapes.console_login(failure="Failed authentication"))]
    stage.near_miss("root-use", f"arn:aws:iam::{account}:root", own)
    stage.near_miss("console-login-failures", f"arn:aws:iam::{account}:root", own)
    return own


def forgotten_password(stage: Stage) -> list[Made]:
    """An IAM user mistypes the password twice, and then gets it right."""
    at = stage.moment()
    person = stage.person("user")
    own = [person.fail_to_sign_in(stage.rng, at), person.fail_to_sign_in(stage.rng, at + 25)]
    came, inside = person.sign_in(stage.rng, at + 60)
    person.note_sign_in(came, stage.story)
    stage.near_miss("console-login-failures", person.who.arn, own)
    return own + came + list(person.wander(stage.rng, at + 70, inside, 3, at + HOUR))


def traveller(stage: Stage) -> list[Made]:
    """A person works from a hotel for days, by his usual doors."""
    rng = stage.rng
    at = stage.moment(0.5, length_h=30)
    person = stage.person()
    made: list[Made] = []
    for number in range(3):
        came, desk = person.open_terminal(rng, at - (4 - number) * DAY)
        if came[0].at > stage.plan.start_at:
            made += came + stage.paced(came[0].at + 60, desk, calls.TERMINAL[:3])
    hotel = stage.organisation.home_address(rng)
    own: list[Made] = []
    for late_s in (0, DAY):
        came, desk = person.open_terminal(rng, at + late_s, hotel)
        own += came + stage.paced(at + late_s + 60, desk, (WHO_AM_I, *calls.TERMINAL[1:5]))
    own = [each for each in own if each.at < stage.plan.end_at]
    stage.near_miss("key-new-network", person.who.arn, own)
    stage.near_miss("key-probe", person.who.arn, own)
    return made + own


def pipeline_grants(stage: Stage) -> list[Made]:
    """A pipeline makes a role and grants what that role needs, and no more."""
    at = stage.moment()
    pipeline = stage.rng.choice(stage.automation.pipelines)
    made, runner = pipeline.come(stage.rng, at)
    issued, terraform = pipeline.go_on(stage.rng, at + 20, runner)
    number = stage.rng.getrandbits(20)
    role = f"{pipeline.name}-exact-{number}"
    writes = calls.pipeline_writes(pipeline.name, role, f"{pipeline.name}-exact-queue-{number}", "lambda.amazonaws.com")
    own = stage.paced(at + 40, terraform, writes[:6], gap_s=3)
    arn = shapes.role_arn(pipeline.target, role)
    for detector in ("wildcard-grant", "admin-granted", "grant-outside-pipeline"):
        stage.near_miss(detector, arn, own)
    return made + issued + own


def reformatted_policy(stage: Stage) -> list[Made]:
    """A broad policy is written anew with its actions in another order: nothing is newly allowed by that."""
    at = stage.moment(0.3)
    workload, made = stage.workload("ecs", by=at)
    came, desk = stage.administrator(workload.account).open_terminal(stage.rng, at - 60)
    actions = ["dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:UpdateItem"]
    name = f"{workload.name}-table"

    def put(order: list[str], sid: str) -> Call:
        statement: Json = {"Sid": sid, "Effect": "Allow", "Action": order, "Resource": "*"}
        request = {"roleName": workload.role, "policyName": name, "policyDocument": document(statement)}
        return change("iam", "PutRolePolicy", request)

    first = stage.paced(at, desk, [put(actions, "Table")])
    own = stage.paced(at + HOUR, desk, [put([*reversed(actions), actions[0].lower()], "TableWrites")])
    stage.finding("wildcard-grant", workload.who.arn, first, subject=name, severity="medium")
    stage.tolerate("grant-outside-pipeline", workload.who.arn, first + own)
    stage.near_miss("wildcard-grant", workload.who.arn, own)
    return made + came + first + own


def trust_within(stage: Stage) -> list[Made]:
    """A role comes to trust another account of the same organisation."""
    at = stage.moment()
    workload, made = stage.workload("ecs", by=at)
    came, desk = stage.administrator(workload.account).open_terminal(stage.rng, at - 60)
    friend = next(each.id for each in stage.organisation.members if each.id != workload.account)
    trust = document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{friend}:role/terraform"}, "Action": "sts:AssumeRole"}
    )
    own = stage.paced(
        at, desk, [change("iam", "UpdateAssumeRolePolicy", {"roleName": workload.role, "policyDocument": trust})]
    )
    stage.near_miss("wildcard-grant", workload.who.arn, own)
    stage.tolerate("grant-outside-pipeline", workload.who.arn, own)
    return made + came + own


def trail_grows(stage: Stage) -> list[Made]:
    """A trail is started, and told to log more."""
    at = stage.moment()
    account = stage.rng.choice(stage.organisation.members).id
    came, desk = stage.administrator(account).open_terminal(stage.rng, at - 60)
    arn = f"arn:aws:cloudtrail:{stage.organisation.home_region(account)}:{account}:trail/growing-trail"
    selectors = [{"readWriteType": "All", "includeManagementEvents": True, "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}], "excludeManagementEventSources": []}]  # fmt: skip
    asked = (
        change("cloudtrail", "PutEventSelectors", {"trailName": arn, "eventSelectors": selectors}, {"trailARN": arn}),
        change("cloudtrail", "StartLogging", {"name": arn}),
    )
    own = stage.paced(at, desk, asked)
    stage.near_miss("trail-tampering", arn, own)
    return came + own


def session_token_with_mfa(stage: Stage) -> list[Made]:
    """A person takes a session with MFA from a key, as is recommended."""
    at = stage.moment()
    person = stage.person("user")
    _, desk = person.open_terminal(stage.rng, at)
    key = stage.key()
    request = {
        "durationSeconds": 43200,
        "serialNumber": f"arn:aws:iam::{person.account.id}:mfa/{person.name}",
        "tokenCode": "123456",
    }
    answer: Json = {
        "credentials": {"accessKeyId": key, "sessionToken": "EXAMPLETOKEN", "expiration": shapes.expiry(at + 12 * HOUR)}
    }
    own = stage.paced(at, desk, [Call("sts", "GetSessionToken", request, answer)])
    stage.near_miss("session-from-long-lived-key", person.who.arn, own)
    return own


def denied_service(stage: Stage) -> list[Made]:
    """An AWS service is refused hundreds of times, which is nobody's recon."""
    at = stage.moment(length_h=3)
    account = stage.rng.choice(stage.organisation.members).id
    caller = stage.services.in_own_name("delivery.logs.amazonaws.com", account, stage.organisation.names[0])
    own = [caller.call(stage.rng, at + 20 * number, calls.SERVICE[3][1], denied=True) for number in range(40)]
    stage.near_miss("recon-burst", "delivery.logs.amazonaws.com", own)
    return own


def key_within_grace(stage: Stage) -> list[Made]:
    """A script tries its key once more, minutes after it was disabled."""
    at = stage.moment(0.4)
    script, made = stage.script(until=at)
    came, desk = stage.administrator(script.account).open_terminal(stage.rng, at - 60)
    request = {"userName": script.user, "accessKeyId": script.key, "status": "Inactive"}
    off = stage.paced(at, desk, [change("iam", "UpdateAccessKey", request)])
    own = stage.paced(at + 4 * MINUTE, script.caller, calls.SCRIPT[:2], gap_s=4, denied=1.0)
    stage.near_miss("key-used-after-disable", script.who.arn, own)
    return made + came + off + own


STORIES: Final = (
    Story("sso-role-in-console", sso_role_in_console, ("machine-role-console",)),
    Story("sso-cloudshell", sso_cloudshell, ("machine-role-console",)),
    Story("presigned-url", presigned_url, ("machine-role-console", "instance-credentials-outside")),
    Story("console-in-the-name", console_in_the_name, ("machine-role-console",)),
    Story("on-roots-behalf", on_roots_behalf, ("root-use",)),
    Story("root-sign-in-failed", root_sign_in_failed, ("root-use", "console-login-failures")),
    Story("forgotten-password", forgotten_password, ("console-login-failures",)),
    Story("traveller", traveller, ("key-new-network", "key-probe"), min_days=7),
    Story("pipeline-grants", pipeline_grants, ("wildcard-grant", "admin-granted", "grant-outside-pipeline")),
    Story("reformatted-policy", reformatted_policy, ("wildcard-grant",)),
    Story("trust-within", trust_within, ("wildcard-grant",)),
    Story("trail-grows", trail_grows, ("trail-tampering",)),
    Story("session-token-with-mfa", session_token_with_mfa, ("session-from-long-lived-key",)),
    Story("denied-service", denied_service, ("recon-burst",)),
    Story("key-within-grace", key_within_grace, ("key-used-after-disable",)),
)
