"""AWS has found a user's key in public, and put its quarantine on the user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from models.detector import Desk, Detector, Family, GrantsState, Life
from models.event import Event
from models.finding import ChainStage, Draft, EntityRef, Severity, cut, doer
from models.grants.graph import Holder
from models.record import text_of

_IAM = "iam.amazonaws.com"
_NAME: Final = "AWSCompromisedKeyQuarantine"
_INLINE: Final = frozenset(
    {"AWSExposedCredentialPolicy_DO_NOT_REMOVE"}
)  # as AWS did it before there was the managed one


class KeyQuarantined(Detector[GrantsState], frozen=True, kw_only=True):
    """A condition: it holds until the last of the quarantine policies is off the user, or the user is gone."""

    name: ClassVar[str] = "key-quarantined"
    summary: ClassVar[str] = (
        "AWSCompromisedKeyQuarantine (V1, V2, V3) is attached to a user, or the older inline Deny is put on: AWS has found "
        "the user's key in public"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.CRITICAL
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1552.001", "T1078.004")
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "A quarantine from before the trail begins. AWS quarantines keys that it finds itself, most of them in public "
        "repositories, and it denies only some actions: the key goes on working for all others."
    )
    runbook: ClassVar[str] = (
        "The key is in public: disable it now, before anything else, and make a new one. Then read all that was done with "
        "it since it leaked, in every region, look for users, roles and keys that it made, and answer AWS's support case. "
        "Take the quarantine off last."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (_IAM, name)
        for name in ("AttachUserPolicy", "PutUserPolicy", "DetachUserPolicy", "DeleteUserPolicy", "DeleteUser")
    )

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Yield a draft for each quarantine put on, a closing when none is left."""
        request = event.request()
        name = text_of(request.get("userName"))
        user = event.iam_arn("user", name) if name else None
        if user is None or name is None or event.is_failed:
            return
        policy = text_of(request.get("policyArn")) or text_of(request.get("policyName")) or ""
        entity = EntityRef(user, "user")
        if event.api.name == "DeleteUser":
            yield self.closing(entity, None, event.at)
        elif not _is_quarantine(policy):
            return
        elif event.api.name in ("DetachUserPolicy", "DeleteUserPolicy"):
            if not any(each != policy for each in _quarantines(state.account.graph.holder(user))):
                yield self.closing(entity, None, event.at)
        else:
            yield self.draft(
                event,
                state,
                entity=entity,
                subject=None,
                title=f"AWS found a key of user {cut(name)} in public, and quarantined it",
                summary=(
                    f"{doer(event)} put {cut(policy.rsplit('/', 1)[-1])} on {cut(name)}: AWS does so when it finds a user's "
                    "access key in public. The policy denies only what such keys are abused for most; whoever found the key "
                    "can use it for all else."
                ),
                seen={"policy": cut(policy), "by": doer(event)},
                expected={"policies": "none of AWS's quarantine"},
            )


def _is_quarantine(policy: str) -> bool:
    """Say whether a policy's ARN or name is one of AWS's; a customer's own policy may bear any name."""
    name = policy.rsplit("/", 1)[-1]
    if policy.startswith("arn:") and ":iam::aws:policy/" not in policy:
        return False
    return name.startswith(_NAME) or name in _INLINE


def _quarantines(holder: Holder) -> list[str]:
    return [each for each in (*holder.attached, *holder.inline) if _is_quarantine(each)]
