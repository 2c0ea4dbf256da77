"""The evidence ladder: a stronger tier always wins, unknown stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.behaviour.evidence import judge_entity, judge_session, stance
from models.facts import CONFIGURATION, LADDER, Facts

D = Facts.DIRECT_CALL


@pytest.mark.parametrize(
    ("facts", "configuration", "verdict"),
    [
        (D, 0, ("unknown", None)),
        (D | Facts.SDK | Facts.SDK_SESSION_NAME, 0, ("unknown", None)),
        (D | Facts.EMAIL_SESSION_NAME, 0, ("human", 3)),
        (D | Facts.PLATFORM_CLIENT, 0, ("workload", 3)),
        (D | Facts.PLATFORM_CLIENT | Facts.EMAIL_SESSION_NAME, 0, ("unknown", None)),
        (D | Facts.PLATFORM_CLIENT, Facts.LOGIN_PROFILE, ("human", 2)),
        (D | Facts.MFA_USED | Facts.PLATFORM_CLIENT, 0, ("human", 2)),
        (D | Facts.EMAIL_SESSION_NAME, Facts.TRUSTS_ONLY_SERVICES, ("workload", 2)),
        (D | Facts.ISSUED_BY_SERVICE | Facts.EMAIL_SESSION_NAME, Facts.LOGIN_PROFILE, ("workload", 1)),
        (D | Facts.EC2_ROLE_DELIVERY | Facts.CONSOLE_FLAG, 0, ("human", 1)),
        (D | Facts.CONSOLE_FLAG | Facts.INVOKED_BY_SERVICE, 0, ("human", 1)),
        (Facts.SERVICE_LINKED_ROLE | Facts.ISSUED_BY_SERVICE | Facts.INVOKED_BY_SERVICE, 0, ("service", 1)),
        (Facts.INVOKED_BY_SERVICE, 0, ("unknown", None)),
        (Facts.INVOKED_BY_SERVICE | Facts.EMAIL_SESSION_NAME, 0, ("human", 3)),
    ],
)
def test_one_session(facts: int, configuration: int, verdict: tuple[str, int | None]) -> None:
    """Each tier decides only where the stronger ones are silent; a tier that contradicts itself is silent."""
    assert judge_session(stance(facts), configuration) == verdict


def entity(*sessions: int, configuration: int = 0) -> tuple[str, str, int | None, int, int, int]:
    """Judge an entity by its sessions."""
    stances: dict[str, int] = {}
    for facts in sessions:
        stances[stance(facts)] = stances.get(stance(facts), 0) + 1
    kind, verdict, human, machine, unknown, _ = judge_entity(stances, configuration)
    return kind, verdict.class_, verdict.tier, human, machine, unknown


def test_mixed_is_both_kinds_and_takes_the_stronger_tiers_majority() -> None:
    """People and workloads in one role: mixed, classed by the majority of the strongest tier."""
    human, workload, weak = D | Facts.CONSOLE_FLAG, D | Facts.EC2_ROLE_DELIVERY, D | Facts.EMAIL_SESSION_NAME
    assert entity(human, workload, workload) == ("mixed", "workload", 1, 1, 2, 0)
    assert entity(weak, weak, weak, workload) == ("mixed", "workload", 1, 3, 1, 0)


def test_calls_on_behalf_make_nobody_mixed() -> None:
    """Sessions in which only a service acted do not make a person's role mixed, nor an unknown one a machine."""
    behalf = Facts.INVOKED_BY_SERVICE
    assert entity(D | Facts.EMAIL_SESSION_NAME, behalf) == ("human", "human", 3, 1, 0, 1)
    assert entity(D, behalf) == ("unknown", "unknown", None, 0, 0, 2)
    assert entity(behalf, behalf) == ("machine", "service", 1, 0, 2, 0)


def test_agents_alone_make_an_agent() -> None:
    """An entity that AI agents use alone is an agent; beside its owner they count for neither kind."""
    assert entity(Facts.INVOKED_BY_AGENT) == ("machine", "agent", 1, 0, 1, 0)
    assert entity(Facts.AGENT_CLIENT) == ("machine", "agent", 3, 0, 1, 0)
    assert entity(D | Facts.EMAIL_SESSION_NAME | Facts.INVOKED_BY_AGENT)[:3] == ("human", "human", 3)


def test_configuration_speaks_where_sessions_are_silent() -> None:
    """A role whose sessions show nothing is what its trust policy makes of it."""
    assert entity(D, D, configuration=Facts.TRUSTS_ONLY_SERVICES) == ("machine", "workload", 2, 0, 2, 0)
    assert entity(configuration=Facts.LOGIN_PROFILE)[:3] == ("human", "human", 2)


masks = st.sets(st.sampled_from([*LADDER, Facts.DIRECT_CALL]), max_size=8).map(
    lambda facts: sum(int(each) for each in facts)
)


@given(masks, masks)
def test_a_weaker_tier_never_outweighs_a_stronger(facts: int, configuration: int) -> None:
    """Adding evidence of a weaker tier never changes what a stronger one has decided."""
    verdict = judge_session(stance(facts), configuration & CONFIGURATION)
    for fact, rung in LADDER.items():
        if verdict.tier is not None and rung.tier > verdict.tier:
            assert judge_session(stance(facts | int(fact)), configuration & CONFIGURATION) == verdict


@given(st.lists(masks, max_size=6), masks)
def test_every_session_is_counted_once(sessions: list[int], configuration: int) -> None:
    """Human, machine and unknown sessions add up to all sessions."""
    stances: dict[str, int] = {}
    for facts in sessions:
        stances[stance(facts)] = stances.get(stance(facts), 0) + 1
    answer = judge_entity(stances, configuration & CONFIGURATION)
    assert answer.human + answer.machine + answer.unknown == len(sessions)
    assert (answer.kind == "unknown") == (answer.verdict.class_ == "unknown")
