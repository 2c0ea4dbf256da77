"""The console and root: who is there, and should not be."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Manner, Stream, instant
from streams.sources.simulated.clients import BROWSERS, Client, fixed_client
from streams.sources.simulated.machines import Workload
from streams.sources.simulated.organisation import DAY, HOUR
from streams.sources.simulated.shapes import GLOBAL_REGION, Call
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.story import Story

SECRETS: Final = (
    Call("secretsmanager", "ListSecrets", {"maxResults": 100, "includePlannedDeletion": False}),
    Call("secretsmanager", "DescribeSecret", {"secretId": "<name>/db"}),
    Call("secretsmanager", "GetSecretValue", {"secretId": "<name>/db"}),
    Call("ssm", "DescribeParameters", {"maxResults": 50}),
    Call("kms", "ListAliases", {"limit": 100}),
    Call("dynamodb", "ListTables", {"limit": 100}),
)
IN_CONSOLE: Final = Manner(console=True)
PAGES: Final = (*SECRETS, *calls.CONSOLE[:12])
_CONSOLE: Final = shapes.console_login()
_CONSOLE_MFA: Final = shapes.console_login(mfa=True)
_FAILED: Final = shapes.console_login(failure="Failed authentication")
_UNKNOWN_NAME: Final = shapes.console_login(failure="No username found in supplied account")


def _owe_visit(stage: Stage, workload: Workload, session: str, own: list[Made]) -> None:
    """Put down that a machine's role was used from the console in a session, and what else may be said of that."""
    workload.who.is_mixed = True
    arn = workload.who.arn
    stage.finding("machine-role-console", arn, own, subject=f"{session}@{instant(own[0].at)}", severity="high")
    stage.tolerate("class-flip", arn, own)
    stage.tolerate("mixed-role", arn, own)
    stage.tolerate("behaviour-anomaly", arn, own)


def _assumed_by_colleague(stage: Stage, at: int, platform: str) -> tuple[Workload, list[Made], Caller, str]:
    """Let somebody assume a machine's role from his terminal; gives role, events, him in the role, the session's name."""
    workload, made = stage.workload(platform, by=at)
    person = stage.person(account=workload.account)
    came, desk = person.open_terminal(stage.rng, at - 120)
    session = person.email if stage.rng.random() < 0.5 else person.name.split(".")[0]
    issued, key = stage.assume(at - 20, desk, workload.account, workload.role, session, path=workload.path)
    inside = stage.session(
        workload.account,
        workload.role,
        session,
        person.browser,
        desk.address,
        path=workload.path,
        console=True,
        who=workload.who,
    )
    return workload, made + came + issued, inside.take(key, at - 20), session


def console_flag(stage: Stage) -> list[Made]:
    """Somebody in a machine's role clicks through the console: records carry the console flag alone."""
    at = stage.moment(era="new")
    platform = stage.rng.choice(("ec2", "ecs", "lambda"))
    workload, made, inside, session = _assumed_by_colleague(stage, at, platform)
    own = stage.paced(at, inside, stage.rng.sample(PAGES, 9), key_each=True, denied=0.1)
    _owe_visit(stage, workload, session, own)
    return made + own


def console_invoked_by_signin(stage: Stage) -> list[Made]:
    """The same before 2022: no flag, but the console calls (`invokedBy` signin.amazonaws.com)."""
    at = stage.moment(era="old")
    workload, made, inside, session = _assumed_by_colleague(stage, at, stage.rng.choice(("ec2", "ecs")))
    inside.client = fixed_client("signin.amazonaws.com")
    own = stage.paced(at, inside, stage.rng.sample(PAGES, 8), key_each=True, denied=0.1)
    _owe_visit(stage, workload, session, own)
    return made + own


def console_user_agent(stage: Stage) -> list[Made]:
    """Only the client tells: the console's own, in a machine's role."""
    at = stage.moment()
    workload, made, inside, session = _assumed_by_colleague(stage, at, stage.rng.choice(("ec2", "ecs")))
    rng = stage.rng
    client = rng.choice(
        (Client("s3-console", rng), fixed_client("console.ec2.amazonaws.com"), fixed_client("AWS-Console-Mobile-App"))
    )
    desk = stage.session(
        workload.account, workload.role, session, client, inside.address, path=workload.path, who=workload.who
    ).take(inside.key, inside.created_at)
    own = stage.paced(at, desk, rng.sample(PAGES, 6))
    _owe_visit(stage, workload, session, own)
    return made + own


def console_login_as_role(stage: Stage) -> list[Made]:
    """A machine's key is traded for a sign-in token, which opens the console (GetSigninToken, ConsoleLogin as AssumedRole)."""
    at = stage.moment()
    workload, made, inside, session = _assumed_by_colleague(stage, at, stage.rng.choice(("ec2", "ecs", "lambda")))
    trader = stage.session(
        workload.account,
        workload.role,
        session,
        Client("requests", stage.rng),
        inside.address,
        path=workload.path,
        who=workload.who,
    ).take(inside.key, inside.created_at)
    token = shapes.console_login(name="GetSigninToken")._replace(
        response={"credentials": {"accessKeyId": inside.key}, "GetSigninToken": "Success"},
        additional={"MobileVersion": "No", "MFAUsed": "No"},
    )
    visitor = stage.session(
        workload.account,
        workload.role,
        session,
        inside.client,
        inside.address,
        path=workload.path,
        keyless=True,
        who=workload.who,
    ).take("", at)
    own = [trader.call(stage.rng, at, token), visitor.call(stage.rng, at + 6, _CONSOLE)]
    own += stage.paced(at + 15, inside, stage.rng.sample(PAGES, 7), key_each=True)
    _owe_visit(stage, workload, session, own)
    return made + own


def console_switch_role(stage: Stage) -> list[Made]:
    """An IAM user signs in and switches to a machine's role."""
    at = stage.moment(length_h=3)
    workload, made = stage.workload("ec2", by=at)
    person = stage.person("user", account=workload.account)
    came, user = person.sign_in(stage.rng, at)
    person.note_sign_in(came, stage.story)
    made += came + stage.paced(at + 20, user, stage.rng.sample(calls.CONSOLE, 3), key_each=True)
    at += 15 * 60
    switch = user.through(Client("switch", stage.rng))
    switch.key = stage.key()
    issued, _ = stage.assume(at - 1, switch, workload.account, workload.role, person.name, path=workload.path)
    arrival = shapes.console_login(name="SwitchRole")._replace(
        additional={
            "SwitchFrom": person.who.arn,
            "RedirectTo": f"https://{workload.stream.region}.console.aws.amazon.com/console/home?region={workload.stream.region}",
        }
    )
    visitor, inside = (
        stage.session(
            workload.account,
            workload.role,
            person.name,
            person.browser,
            user.address,
            path=workload.path,
            keyless=not console,
            console=console,
            mfa=person.has_mfa,
            who=workload.who,
        ).take("", at)
        for console in (False, True)
    )
    own = [visitor.call(stage.rng, at, arrival)]
    own += stage.paced(at + 8, inside, stage.rng.sample(PAGES, 9), key_each=True)
    _owe_visit(stage, workload, person.name, own)
    return made + issued + own


def console_cloudshell(stage: Stage) -> list[Made]:
    """Somebody opens CloudShell in a machine's role."""
    at = stage.moment()
    workload, made, _inside, session = _assumed_by_colleague(stage, at, stage.rng.choice(("ecs", "ec2")))
    shell = stage.session(
        workload.account,
        workload.role,
        session,
        Client("cloudshell", stage.rng),
        stage.organisation.cloud_address(stage.rng),
        path=workload.path,
        who=workload.who,
    ).take(stage.key(), at)
    own = stage.paced(at, shell, stage.rng.sample((*calls.TERMINAL, *SECRETS), 7), denied=0.2)
    _owe_visit(stage, workload, session, own)
    return made + own


def root_use(stage: Stage) -> list[Made]:
    """Root signs in to a member account, by night and without MFA."""
    at = stage.moment(night=True)
    account = stage.root_account()
    client = Client(stage.rng.choice(BROWSERS), stage.rng)
    owner = stage.root(account, client, stage.organisation.foreign_address(stage.rng))
    _is_somebody(owner)
    own = [owner.take("", at).call(stage.rng, at, _CONSOLE)]
    asked = (
        Call("iam", "ListUsers", {"maxItems": 1000}),
        Call("iam", "GetAccountSummary"),
        Call("account", "GetContactInformation"),
    )
    own += stage.paced(at + 40, owner.through(manner=IN_CONSOLE), asked, key_each=True)
    arn = f"arn:aws:iam::{account}:root"
    stage.finding("root-use", arn, own, subject=f"console@{instant(at)}", severity="high")
    return own


def _is_somebody(root: Caller) -> None:
    """Put down that a root is used by a person, and not merely called for by services."""
    if root.who is not None:
        root.who.class_ = "human"


def root_key(stage: Stage) -> list[Made]:
    """Root makes an access key of its own, and a script uses it."""
    at = stage.moment(length_h=4)
    account = stage.root_account()
    key = stage.key("AKIA")
    browser = Client(stage.rng.choice(BROWSERS), stage.rng)
    office = stage.organisation.sites[0].address(stage.rng)
    owner = stage.root(account, browser, office, mfa=True)
    _is_somebody(owner)
    made_key = calls.change("iam", "CreateAccessKey", None, _key_made(None, key))
    visit = [owner.take("", at).call(stage.rng, at, _CONSOLE_MFA)]
    visit += stage.paced(at + 60, owner.through(manner=IN_CONSOLE), [made_key], key_each=True)
    script = stage.root(account, Client("boto-linux-env", stage.rng), office).take(key, 0)
    used = stage.paced(at + 3_000, script, stage.rng.sample(calls.SCRIPT, 4))
    arn = f"arn:aws:iam::{account}:root"
    stage.finding("root-use", arn, visit, subject=f"console@{instant(at)}", severity="high")
    stage.finding("root-use", arn, used, subject=f"{key}@{instant(used[0].at)}", severity="high")
    stage.finding("root-key", arn, visit[1:] + used, subject=key, severity="critical")
    stage.tolerate("key-made-then-used", arn, used)
    return visit + used


def _key_made(user: str | None, key: str) -> dict[str, object]:
    made = {"accessKeyId": key, "status": "Active", "createDate": "<time>", **({"userName": user} if user else {})}
    return {"accessKey": made}


def unfederated_login(stage: Stage) -> list[Made]:
    """Somebody signs in as an IAM user without MFA, and looks around."""
    at = stage.moment()
    person = stage.person("user")
    person.has_mfa = False
    came, inside = person.sign_in(stage.rng, at)
    own = came + list(person.wander(stage.rng, at + 20, inside, 6, at + HOUR))
    subject = f"console@{instant(at)}"
    stage.finding("unfederated-console-login", person.who.arn, came, subject=subject, severity="medium")
    return own


def password_spray(stage: Stage) -> list[Made]:
    """A dozen and more sign-ins from one address within minutes, with names that nobody has."""
    at = stage.moment(night=True)
    account = stage.rng.choice(stage.organisation.members).id
    address = stage.organisation.foreign_address(stage.rng)
    client = Client(stage.rng.choice(BROWSERS), stage.rng)
    nobody = _refused(stage, account, None, client, address)
    gap_s = stage.rng.randrange(15, 40)
    own = [nobody.call(stage.rng, at + gap_s * number, _UNKNOWN_NAME) for number in range(stage.rng.randrange(11, 16))]
    stage.finding("console-login-failures", account, own, subject=address, severity="medium")
    return own


def _refused(stage: Stage, account: str, name: str | None, client: Client, address: str) -> Caller:
    return Caller(
        None,
        Stream(account, GLOBAL_REGION),
        lambda _key, _created, _is_old: shapes.user_refused(account, name),
        client,
        address,
        new_from=stage.plan.new_from,
    )


def password_guessed(stage: Stage) -> list[Made]:
    """Passwords are tried against one IAM user, until one fits."""
    at = stage.moment(night=True)
    person = stage.person("user")
    person.has_mfa = False
    person.browser = Client(stage.rng.choice(BROWSERS), stage.rng)
    address = stage.organisation.foreign_address(stage.rng)
    tried = []
    for _ in range(stage.rng.randrange(6, 9)):
        tried.append(person.fail_to_sign_in(stage.rng, at, address))
        at += stage.rng.randrange(30, 60)
    came, inside = person.sign_in(stage.rng, at + 30, address)
    own = list(person.wander(stage.rng, at + 60, inside, 6, at + HOUR, PAGES))
    stage.finding("console-login-failures", person.who.arn, tried + came, severity="high")
    stage.tolerate("console-login-failures", person.account.id, tried + came)
    stage.finding("unfederated-console-login", person.who.arn, came, severity="medium")
    stage.tolerate("behaviour-anomaly", person.who.arn, own)
    return tried + came + own


def class_flip(stage: Stage) -> list[Made]:
    """A settled machine's role is used from somebody's laptop, outside the console."""
    at = stage.moment(0.6)
    workload, made = stage.workload(stage.rng.choice(("ecs", "lambda", "codebuild")), by=at)
    made += stage.proof(workload, at - DAY if stage.plan.days > 5 else at, 8)
    person = stage.person(account=workload.account)
    came, desk = person.open_terminal(stage.rng, at)
    issued, key = stage.assume(at + 60, desk, workload.account, workload.role, person.email, path=workload.path)
    laptop = stage.session(
        workload.account,
        workload.role,
        person.email,
        person.terminal,
        desk.address,
        path=workload.path,
        who=workload.who,
    ).take(key, at + 60)
    own = stage.paced(at + 80, laptop, stage.rng.sample((*calls.TERMINAL, *SECRETS), 9), gap_s=60, denied=0.1)
    workload.who.is_mixed = True
    stage.finding(
        "class-flip", workload.who.arn, own, subject=f"{person.email}@{instant(own[0].at)}", severity="medium"
    )
    stage.tolerate("mixed-role", workload.who.arn, own)
    stage.tolerate("behaviour-anomaly", workload.who.arn, own)
    return made + came + issued + own


def mixed_role(stage: Stage) -> list[Made]:
    """People and machines share one role from the first day on."""
    plan = stage.plan
    workload, _ = stage.workload("ec2")
    session = workload.new_session()
    person = stage.person(account=workload.account)
    made: list[Made] = []
    own: list[Made] = []
    for number in range(min(plan.days, 5)):
        day_at = plan.start_at + number * DAY
        for hour in (3, 11, 19):
            own += workload.work(stage.rng, day_at + hour * HOUR + stage.rng.randrange(HOUR), session)
        at = day_at + 10 * HOUR + stage.rng.randrange(3 * HOUR)
        came, desk = person.open_terminal(stage.rng, at)
        issued, key = stage.assume(at + 30, desk, workload.account, workload.role, person.email, path=workload.path)
        laptop = stage.session(
            workload.account,
            workload.role,
            person.email,
            person.terminal,
            desk.address,
            path=workload.path,
            who=workload.who,
        ).take(key, at + 30)
        made += came + issued
        own += stage.paced(at + 45, laptop, stage.rng.sample(calls.TERMINAL, 3), gap_s=100)
    workload.who.is_mixed = True
    stage.finding("mixed-role", workload.who.arn, own, severity="low")
    stage.tolerate("class-flip", workload.who.arn, own)
    return made + own


STORIES: Final = (
    Story("console-flag", console_flag, ("machine-role-console",), era="new"),
    Story("console-invoked-by-signin", console_invoked_by_signin, ("machine-role-console",), era="old"),
    Story("console-user-agent", console_user_agent, ("machine-role-console",)),
    Story("console-login-as-role", console_login_as_role, ("machine-role-console",)),
    Story("console-switch-role", console_switch_role, ("machine-role-console", "unfederated-console-login")),
    Story("console-cloudshell", console_cloudshell, ("machine-role-console",)),
    Story("root-use", root_use, ("root-use",)),
    Story("root-key", root_key, ("root-use", "root-key")),
    Story("unfederated-login", unfederated_login, ("unfederated-console-login",)),
    Story("password-spray", password_spray, ("console-login-failures",)),
    Story("password-guessed", password_guessed, ("console-login-failures", "unfederated-console-login")),
    Story("class-flip", class_flip, ("class-flip",), min_days=3),
    Story("mixed-role", mixed_role, ("mixed-role",), min_days=4),
)
