"""The changes of any organisation: people join and leave, keys are renewed. Told always, whatever else is injected."""

from __future__ import annotations

from typing import Final

from streams.sources.simulated import calls
from streams.sources.simulated.callers import Made
from streams.sources.simulated.calls import change
from streams.sources.simulated.organisation import DAY, HOUR, MINUTE
from streams.sources.simulated.people import Person
from streams.sources.simulated.shapes import Call, Json, unique_id
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories.story import Story


def joiner(stage: Stage) -> list[Made]:
    """An administrator makes a user with a password for somebody new, who signs in, and adds MFA."""
    at = stage.moment(0.2, 0.7)
    person = stage.person("user", account=stage.rng.choice(stage.organisation.members).id)
    account, name, arn = person.account.id, person.name, person.who.arn
    person.has_mfa = False
    came, desk = stage.administrator(account).open_terminal(stage.rng, at - 60)
    user: Json = {
        "user": {
            "userName": name,
            "userId": unique_id("AIDA", f"{account}/{name}"),
            "arn": arn,
            "path": "/",
            "createDate": "<time>",
        }
    }
    making = stage.paced(
        at,
        desk,
        [
            change("iam", "CreateUser", {"userName": name}, user),
            change("iam", "AddUserToGroup", {"groupName": "staff", "userName": name}),
            change("iam", "CreateLoginProfile", {"userName": name, "passwordResetRequired": True}, {"loginProfile": {"userName": name, "createDate": "<time>", "passwordResetRequired": True}}),
        ],
        gap_s=3,
    )  # fmt: skip
    stage.finding("login-profile-for-another", arn, making[2:], severity="medium")
    visit_at = at + stage.rng.randrange(20, 100) * MINUTE
    signed_in, inside = person.sign_in(stage.rng, visit_at)
    person.note_sign_in(signed_in, stage.story)
    serial = f"arn:aws:iam::{account}:mfa/{name}"
    own = stage.paced(
        visit_at + 30,
        inside,
        [
            change("iam", "ChangePassword"),
            change("iam", "CreateVirtualMFADevice", {"virtualMFADeviceName": name, "path": "/"}, {"virtualMFADevice": {"serialNumber": serial}}),
            change("iam", "EnableMFADevice", {"userName": name, "serialNumber": serial}),
        ],
        key_each=True,
    )  # fmt: skip
    stage.near_miss("login-profile-for-another", arn, own)
    return came + making + signed_in + own


def leaver(stage: Stage) -> list[Made]:
    """Somebody works for the last time; then an administrator takes keys, password, MFA and the user away."""
    at = stage.moment(0.4)
    person = stage.person("user", account=stage.rng.choice(stage.organisation.members).id)
    account, name = person.account.id, person.name
    made = _last_visit(stage, person, at - 3 * HOUR)
    came, visitor = stage.administrator(account).sign_in(stage.rng, at - 60)
    key = person.long_lived_key
    asked = (
        change("iam", "UpdateAccessKey", {"userName": name, "accessKeyId": key, "status": "Inactive"}),
        change("iam", "DeleteAccessKey", {"userName": name, "accessKeyId": key}),
        change("iam", "DeactivateMFADevice", {"userName": name, "serialNumber": f"arn:aws:iam::{account}:mfa/{name}"}),
        change("iam", "DeleteLoginProfile", {"userName": name}),
        change("iam", "RemoveUserFromGroup", {"groupName": "staff", "userName": name}),
        change("iam", "DeleteUser", {"userName": name}),
    )
    return made + came + stage.paced(at, visitor, asked, gap_s=2, key_each=True)


def _last_visit(stage: Stage, person: Person, at: int) -> list[Made]:
    came, inside = person.sign_in(stage.rng, at)
    person.note_sign_in(came, stage.story)
    made = came + list(person.wander(stage.rng, at + 10, inside, 5, at + HOUR))
    _, desk = person.open_terminal(stage.rng, at + HOUR)
    return made + stage.paced(at + HOUR, desk, calls.TERMINAL[:3])


def rotation(stage: Stage) -> list[Made]:
    """A script renews its key itself, uses both for an hour, then disables and deletes the old one."""
    at = stage.moment(0.4, 0.8, length_h=8)
    script, made = stage.script(until=at)
    old, new = script.key, stage.key("AKIA")
    answer: Json = {
        "accessKey": {"userName": script.user, "accessKeyId": new, "status": "Active", "createDate": "<time>"}
    }
    making = stage.paced(at, script.caller, [change("iam", "CreateAccessKey", None, answer)])
    after = script.caller.through().take(new, 0)
    overlap = stage.paced(at + 30 * MINUTE, after, calls.SCRIPT[:3], gap_s=4)
    ending = stage.paced(
        at + HOUR,
        after,
        [
            Call("iam", "ListAccessKeys", {"userName": script.user}),
            change("iam", "UpdateAccessKey", {"userName": script.user, "accessKeyId": old, "status": "Inactive"}),
            change("iam", "DeleteAccessKey", {"userName": script.user, "accessKeyId": old}),
        ],
    )
    later: list[Made] = []
    day_at = at + 6 * HOUR
    while day_at < stage.plan.end_at - HOUR:
        later += stage.paced(day_at, after, calls.SCRIPT[:3], gap_s=4)
        day_at += DAY // 2
    stage.finding("key-second-active", script.who.arn, making + overlap, severity="low")
    stage.near_miss("key-made-then-used", script.who.arn, overlap)
    stage.near_miss("key-for-another", script.who.arn, making)
    return made + making + overlap + ending + later


STORIES: Final = (
    Story("joiner", joiner, ("login-profile-for-another",), min_days=2),
    Story("leaver", leaver, (), min_days=2),
    Story("rotation", rotation, ("key-second-active",), min_days=2),
)
