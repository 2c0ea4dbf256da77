"""AWS's own services: in their own name, in their service-linked roles, and on root's behalf."""

from __future__ import annotations

from random import Random
from typing import Final

from streams.sources.simulated import calls, shapes
from streams.sources.simulated.callers import Caller, Made, Manner, Stream, service_caller
from streams.sources.simulated.clients import fixed_client
from streams.sources.simulated.organisation import HOUR, Organisation
from streams.sources.simulated.pipelines import ASSUME, issued_slots

DENIALS: Final = 0.03  # share of the services' calls that are refused: nobody's recon
ON_ROOTS_BEHALF: Final = 0.01  # share of the services' calls
_FROM_SERVICE: Final = Manner(direct=False)


class Services:
    """What AWS itself does in the accounts: which of it comes next."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        rng = organisation.rng("services")
        self._own = [
            (self.in_own_name(host, account.id, rng.choice(organisation.names)), call)
            for account in organisation.accounts
            for host, call in calls.SERVICE
        ]
        self._linked = [
            (self._in_linked_role(host, role, session, account.id, rng.choice(organisation.names)), call)
            for account in organisation.accounts
            for host, role, session, call in calls.SERVICE_LINKED
        ]
        self._roots = [self.for_root(account.id) for account in organisation.accounts]

    def work(self, rng: Random, at: int) -> list[Made]:
        """Let one of the services make one of its calls."""
        chance = rng.random()
        if chance < ON_ROOTS_BEHALF:
            return [rng.choice(self._roots).call(rng, at, calls.ON_ROOTS_BEHALF)]
        caller, call = rng.choice(self._own if chance < 0.5 else self._linked)
        made = []
        if at >= caller.renew_at:
            key = caller.renew(at, rng.getrandbits(48))
            if caller.fixed["session"]:
                made.append(self._issue(rng, at, caller, key))
        made.append(caller.call(rng, at, call, denied=rng.random() < DENIALS))
        return made

    def _issue(self, rng: Random, at: int, caller: Caller, key: str) -> Made:
        """Let a service take its service-linked role."""
        account, role, session = caller.stream.account, caller.fixed["role"], caller.fixed["session"]
        issuer = self.in_own_name(caller.address, account, caller.fixed["name"])
        slots = issued_slots(account, role, session, key, at, f"/aws-service-role/{caller.address}/")
        return issuer.call(rng, at, ASSUME, slots | {"shared_id": shapes.uuid_of(rng.getrandbits(128))})

    def in_own_name(self, host: str, account: str, name: str) -> Caller:
        """Make a service that calls in its own name."""
        organisation = self._organisation
        who = organisation.ledger.meet(host, "service", "service", None, "aws")
        stream = Stream(account, organisation.home_region(account))
        return service_caller(who, stream, new_from=organisation.plan.new_from, name=name)

    def for_root(self, account: str, host: str = "autoscaling.amazonaws.com") -> Caller:
        """Make a service that calls on behalf of an account's root, which is nobody using root."""
        organisation = self._organisation
        who = organisation.ledger.meet(f"arn:aws:iam::{account}:root", "root", "unknown", account, "root")
        return Caller(
            who,
            Stream(account, organisation.home_region(account)),
            lambda _key, _created, _is_old: shapes.root(account, invokedBy=host),
            fixed_client(host),
            host,
            new_from=organisation.plan.new_from,
            manner=_FROM_SERVICE,
            name=organisation.names[0],
        )

    def _in_linked_role(self, host: str, role: str, session: str, account: str, name: str) -> Caller:
        organisation = self._organisation
        who = organisation.ledger.meet(shapes.role_arn(account, role), "role", "service", account, "service-linked")
        path = f"/aws-service-role/{host}/"
        return Caller(
            who,
            Stream(account, organisation.home_region(account)),
            lambda key, created, is_old: shapes.role_session(
                account,
                role,
                session,
                key,
                created,
                path=path,
                context={"webIdFederationData": {}} if is_old else None,
                invokedBy=host,
            ),
            fixed_client(host),
            host,
            new_from=organisation.plan.new_from,
            manner=_FROM_SERVICE,
            life_s=HOUR,
            name=name,
            role=role,
            session=session,
            actor=shapes.session_arn(account, role, session),
        )
