"""Somebody tries passwords at the console's door: against one identity, or from one address over several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from msgspec import Meta

from models.detector import Desk, Detector, Family, GrantsState
from models.event import SIGN_IN_SERVICE, Event
from models.finding import ChainStage, Draft, EntityRef, Exhibits, Severity, Who, cut, who
from models.grants.account import Attempt, with_attempt
from models.grants.sign_in import attempt_of

MINUTE_S = 60
Count = Annotated[int, Meta(ge=2, le=200)]


class ConsoleLoginFailures(Detector[GrantsState], frozen=True, kw_only=True):
    """A burst of failed sign-ins, against one identity or from one address; a success that follows makes it high.

    What qualifies is worked out from the attempts in time order, so the order in which they arrive changes nothing.
    """

    name: ClassVar[str] = "console-login-failures"
    summary: ClassVar[str] = (
        "5 failures in 10 min against one identity; from one address, over 3 identities or 10 failures; "
        "high if success follows"
    )
    family: ClassVar[Family] = "console"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1110.001", "T1110.003")
    chain_stage: ClassVar[ChainStage | None] = "initial access"  # where a success follows
    known_gaps: ClassVar[str] = (
        "Tries spread over hours and many addresses. AWS hides names that no user bears, so those count by address only."
    )
    runbook: ClassVar[str] = (
        "If a success followed, take the session as an intruder's until its owner confirms it: reset the password, "
        "end the sessions, look at what was done. If not, tell the owner, see that MFA is required, and block the "
        "address where you can. Many tries from an office address are mostly a password that expired."
    )
    order_free: ClassVar[bool] = True
    calls: ClassVar[tuple[tuple[str, str], ...]] = ((SIGN_IN_SERVICE, "ConsoleLogin"),)

    window_minutes: Annotated[int, Meta(ge=1, le=60)] = 10
    max_failures_per_identity: Count = 5
    max_identities_per_address: Count = 3
    max_failures_per_address: Count = 10
    success_within_minutes: Annotated[int, Meta(ge=1, le=120)] = 60

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Weigh the attempt together with those before and after it: for its identity, and for its address."""
        if (attempt := attempt_of(event)) is None:
            return
        identity, address = attempt.identity, attempt.evidence.source_ip
        if identity is not None:
            known = state.account.by_identity.get(identity, [])
            if burst := self._burst_with(known, attempt, self.max_failures_per_identity, None):
                kind = "root" if identity.endswith(":root") else "user"
                yield self._draft(event, state, *burst, EntityRef(identity, kind), None)
        if address is not None:
            known = state.account.by_address.get(address, [])
            limits = self.max_failures_per_address, self.max_identities_per_address
            if burst := self._burst_with(known, attempt, *limits):
                yield self._draft(event, state, *burst, state.entity, address)

    def _burst_with(
        self, known: list[Attempt], attempt: Attempt, failures: int, identities: int | None
    ) -> tuple[list[Attempt], list[Attempt]] | None:
        """List what belongs to bursts, or follows one successfully; and of it what does so only by this attempt."""
        before = {each.key for each in self._qualified(known, failures, identities)}
        after = self._qualified(with_attempt(known, attempt), failures, identities)
        new = [each for each in after if each.key not in before]
        return (after, new) if new else None

    def _qualified(self, attempts: list[Attempt], failures: int, identities: int | None) -> list[Attempt]:
        """List the failures of all bursts, and the successes that follow one; in time order."""
        failed = [each for each in attempts if each.is_failure]
        burst: dict[tuple[int, str], Attempt] = {}
        start = 0
        for end, last in enumerate(failed):
            while last.at - failed[start].at > self.window_minutes * MINUTE_S:
                start += 1
            window = failed[start : end + 1]
            names = {each.identity for each in window if each.identity is not None}
            if len(window) >= failures or (identities is not None and len(names) >= identities):
                burst.update((each.key, each) for each in window)
        followed = [
            each
            for each in attempts
            if not each.is_failure
            and any(0 <= each.at - failure.at <= self.success_within_minutes * MINUTE_S for failure in burst.values())
        ]
        return sorted([*burst.values(), *followed], key=lambda each: each.key)

    def _draft(
        self,
        event: Event,
        state: GrantsState,
        qualified: list[Attempt],
        new: list[Attempt],
        entity: EntityRef,
        address: str | None,
    ) -> Draft:
        succeeded = [each for each in qualified if not each.is_failure]
        target = cut(address or entity.arn.rsplit("/", 1)[-1])
        where = f"from {target}" if address else f"against {target}"
        got_in = f", then a success by {cut(succeeded[0].identity or 'an unknown identity')}" if succeeded else ""
        draft = self.draft(
            event,
            state,
            entity=entity,
            subject=address,
            title=f"Failed console sign-ins {where}{', then a success' if succeeded else ''}",
            summary=(
                f"Console sign-ins {where} failed in a burst in account {state.account.account_id}{got_in}. "
                + (
                    "A success after a burst is how a guessed password looks."
                    if succeeded
                    else "So far none of them got in."
                )
            ),
            seen={
                "attempts": len(qualified),
                "identities": sorted({cut(each.identity) for each in qualified if each.identity}),
                "addresses": sorted({each.evidence.source_ip for each in qualified if each.evidence.source_ip})[:10],
                "success": bool(succeeded),
                "known_network": state.context.is_known_network(event.caller.source_ip_address),
            },
            expected={
                "failures_per_identity": f"under {self.max_failures_per_identity} in {self.window_minutes} min",
                "failures_per_address": f"under {self.max_failures_per_address} in {self.window_minutes} min",
                "identities_per_address": f"under {self.max_identities_per_address} in {self.window_minutes} min",
            },
            severity=Severity.HIGH if succeeded else Severity.MEDIUM,
            actor=who(event) if succeeded and not attempt_is_failure(event) else Who(),
            exhibits=Exhibits(len(new), [each.evidence for each in new]),
        )
        if not succeeded:
            draft.chain_stage = None
        return draft


def attempt_is_failure(event: Event) -> bool:
    """Say whether the event at hand is itself a failed attempt, so that nobody known did it."""
    attempt = attempt_of(event)
    return attempt is None or attempt.is_failure
