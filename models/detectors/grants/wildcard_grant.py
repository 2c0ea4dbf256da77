"""A change newly allows more than anybody can have meant: rules W1 to W10, through every door."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from models.detector import Desk, Detector, Family, GrantsState, Life
from models.event import Event, calls_in
from models.finding import ChainStage, Draft, Severity, cut, doer
from models.grants.allowed import Holding
from models.grants.change import Change
from models.grants.difference import difference
from models.grants.doors import DOOR_CALLS
from models.grants.graph import GRANT, RESOURCE_POLICY, TRUST, is_aws_managed
from models.grants.newly import new_weaknesses
from models.grants.weakness import IN_SHORT, Weakness
from models.grants.wildcards import weaknesses

MAX_RULES: Final = 20  # weaknesses listed in a finding, the strongest
MAX_LISTED: Final = 20  # actions and resources listed of one


class WildcardGrant(Detector[GrantsState], frozen=True, kw_only=True):
    """A condition, for each holder and document: it holds until nothing of it is allowed any more."""

    name: ClassVar[str] = "wildcard-grant"
    summary: ClassVar[str] = (
        "W1 to W10, newly: wildcards, NotAction, NotResource, PassRole, principals that anybody or a stranger can be; "
        "the strongest rule decides; low where nobody holds it, or it is denied"
    )
    family: ClassVar[Family] = "grants"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.CRITICAL
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1098.003", "T1484")
    chain_stage: ClassVar[ChainStage | None] = "escalation"
    known_gaps: ClassVar[str] = (
        "Documents cut or masked in the trail. What a holder had before the trail began and no inventory told: it counts as "
        "new when it is written again, with baseline `none`; a policy of which nobody told who holds it counts as held, though "
        "it be a boundary. Identity Center's assignments and groups are known from the "
        "trail alone; of a cluster's access policies the two that administer are judged. Where the settings do not list the "
        "organisation's accounts, one that the trail shows only later counts as a stranger until then."
    )
    runbook: ClassVar[str] = (
        "Ask who granted it (actor.origin) what for, and put the narrower change in its place that each rule names under "
        "`fix`. Look at what the holder did with it since. If nobody owns up to it, take it back first."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = calls_in(DOOR_CALLS)

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Judge what each changed document newly allows; close what allows it no more."""
        if event.is_failed and not event.is_denied:
            return
        for change in state.changes:
            if change.kind == "holding":  # the policy's own change says it
                continue
            after = self._of_subject(change.after, change, state)
            if not after:
                if not event.is_failed and weaknesses(change.before, state.outside):
                    yield self.closing(change.entity, change.subject, event.at)
                continue
            if found := self._new(change, after, state):
                if is_aws_managed(change.subject):
                    found = [_as_bundled(each) for each in found]
                yield self._draft(event, state, change, found)

    def _new(self, change: Change, after: list[Weakness], state: GrantsState) -> list[Weakness]:
        """List what is wrong after the change and was not before: a reformat, or less, is nothing.

        What a boundary or a Deny takes away is new all the same, and latent.
        """
        new = new_weaknesses(change.before, change.after, state.outside)
        before = {_key(each) for each in weaknesses(change.before, state.outside)}
        return [each for each in after if each in new or (each.is_latent and _key(each) not in before)]

    def _of_subject(self, holding: Holding, change: Change, state: GrantsState) -> list[Weakness]:
        return [each for each in weaknesses(holding, state.outside) if each.policy in change.places]

    def _draft(self, event: Event, state: GrantsState, change: Change, found: list[Weakness]) -> Draft:
        ordered = sorted(found, key=lambda each: (-each.severity, int(each.rule[1:]), each.pointer))
        worst = ordered[0]
        is_latent = not change.is_held or all(each.is_latent for each in ordered)
        denied = event.is_denied
        severity = Severity.LOW if denied or is_latent else worst.severity
        name = cut(change.entity.arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1])
        what = _what(change.subject)
        by = doer(event)
        rules = list(dict.fromkeys(each.rule for each in ordered))
        is_exposed = any(each.rule == "W8" for each in ordered) and change.kind == "resource"
        draft = self.draft(
            event,
            state,
            entity=change.entity,
            subject=change.subject,
            title=(
                f"{'Denied: ' if denied else ''}{change.entity.type} {name}: {IN_SHORT[worst.rule]} ({', '.join(rules)}), "
                f"newly by {what}"
            ),
            summary=(
                f"{by} {'tried' if denied else 'made'} {event.api.name}: {what} newly grants {change.entity.type} {name} more "
                f"than it should: {worst.why}. {'Nobody holds it yet. ' if not change.is_held else ''}"
                f"Narrower: {worst.fix}"
            ),
            seen={
                "door": event.api.name,
                "rules": [_shown(each) for each in ordered[:MAX_RULES]],
                "newly_allowed": [
                    {
                        "actions": [cut(action) for action in each.actions[:MAX_LISTED]],
                        "resources": [cut(resource) for resource in each.resources[:MAX_LISTED]],
                    }
                    for each in difference(change.before, change.after).added[:MAX_RULES]
                ],
                "is_latent": is_latent,
                "is_denied": denied,
            },
            expected={"fix": list(dict.fromkeys(each.fix for each in ordered))[:MAX_RULES]},
            severity=severity,
            chain_stage="exfiltration" if is_exposed else None,
            affected=change.affected,
            maturity=None if change.is_known else "none",
            is_attempt=denied,
        )
        if severity <= Severity.LOW and not denied:  # what everybody's daily work grants is no step of an intrusion
            draft.chain_stage = None
        return draft


def _as_bundled(weakness: Weakness) -> Weakness:
    """Weigh what a policy that AWS manages names action by action: low, for nobody can name resources there.

    IAM's own permissions management apart: that is a way to everything, whoever wrote it down.
    """
    is_iam = weakness.severity >= Severity.HIGH and any(each.lower().startswith("iam:") for each in weakness.actions)
    if weakness.rule not in ("W3", "W6") or is_iam:
        return weakness
    return replace(weakness, severity=min(weakness.severity, Severity.LOW))


def _key(weakness: Weakness) -> tuple[Any, ...]:
    return weakness.rule, weakness.severity, weakness.actions, weakness.resources, weakness.is_latent, weakness.why


def _what(subject: str) -> str:
    if subject.startswith(GRANT):
        return "a grant"
    return {TRUST: "its trust policy", RESOURCE_POLICY: "its policy"}.get(
        subject, f"policy {cut(subject.rsplit('/', 1)[-1])}"
    )


def _shown(weakness: Weakness) -> dict[str, Any]:
    return {
        "rule": weakness.rule,
        "severity": weakness.severity.label,
        "pointer": weakness.pointer,
        "actions": [cut(each) for each in weakness.actions[:MAX_LISTED]],
        "resources": [cut(each) for each in weakness.resources[:MAX_LISTED]],
        "access_levels": list(weakness.levels),
        "why": weakness.why,
        "fix": weakness.fix,
    }
