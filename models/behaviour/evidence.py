"""The evidence ladder: from the facts of sessions to human, workload, service, agent or unknown.

A stronger tier always wins. Where two evidences of tier 1 meet in one session, the console says where the session came
from: a person uses it, whoever it was issued to. A service or agent that makes calls on a session's behalf counts for
neither kind, unless the entity shows nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, NamedTuple

from models.facts import CONSOLE_MARKERS, Facts, union
from models.finding import Class

Kind = Literal["human", "machine", "mixed", "unknown"]
Origin = Literal["console", "cli", "sdk", "iac", "agent", "service", "unknown"]

# What one session's own facts say, as four letters: what AWS asserts, what tier 2 shows, what the client claims, and
# who made the calls if it was not the owner: (h)uman, (w)orkload, (s)ervice, (A)gent asserted, (a)gent claimed, - silent.
Stance = str

_HUMAN: Final = {tier: union(tier, "human") for tier in (1, 2, 3)}
_WORKLOAD: Final = {tier: union(tier, "workload") for tier in (1, 2, 3)}
_OWN_SERVICE: Final = Facts.AWS_SERVICE | Facts.SERVICE_LINKED_ROLE
_LETTERS: Final[dict[str, Class]] = {"h": "human", "w": "workload", "s": "service", "A": "agent", "a": "agent"}


class Verdict(NamedTuple):
    """A class with the tier of the evidence that decided it; unknown has none."""

    class_: Class
    tier: int | None


class Answer(NamedTuple):
    """What an entity is, made from its sessions."""

    kind: Kind
    verdict: Verdict
    human: int
    machine: int
    unknown: int
    is_contested: bool = False  # two classes at the strongest tier: their numbers decide


UNKNOWN: Final = Verdict("unknown", None)


@lru_cache(maxsize=4096)
def stance(facts: int) -> Stance:
    """Reduce a session's facts to what each tier says of it."""
    if facts & _HUMAN[1]:
        asserted = "h"
    elif facts & _OWN_SERVICE:
        asserted = "s"
    else:
        asserted = "w" if facts & _WORKLOAD[1] else "-"
    return asserted + _side(facts, 2) + _side(facts, 3) + _caller(facts)


def _side(facts: int, tier: int) -> str:
    """Say which side a tier takes; a tier that says both says nothing."""
    human, workload = bool(facts & _HUMAN[tier]), bool(facts & _WORKLOAD[tier])
    return "-" if human == workload else "h" if human else "w"


def _caller(facts: int) -> str:
    """Say who made the calls where the owner made none."""
    if facts & Facts.DIRECT_CALL:
        return "-"
    if facts & Facts.INVOKED_BY_AGENT:
        return "A"
    if facts & Facts.AGENT_CLIENT:
        return "a"
    return "s" if facts & Facts.INVOKED_BY_SERVICE else "-"


@lru_cache(maxsize=4096)
def origin_of(facts: int) -> Origin:
    """Say how a call was made: in the console, by which sort of client, or by whom on its owner's behalf."""
    for origin, mask in _ORIGINS:
        if facts & mask:
            return origin
    return "unknown"


# The first that fits: a console session's flag is AWS's own word, a client's name anybody's.
_ORIGINS: Final[tuple[tuple[Origin, int], ...]] = (
    ("agent", Facts.INVOKED_BY_AGENT | Facts.AGENT_CLIENT),
    ("console", int(CONSOLE_MARKERS)),
    ("service", Facts.INVOKED_BY_SERVICE | Facts.AWS_SERVICE),
    ("iac", int(Facts.IAC)),
    ("cli", int(Facts.CLI)),
    ("sdk", int(Facts.SDK)),
)


def judge_session(of: Stance, configuration: int) -> Verdict:
    """Decide one session's class from its stance and its entity's configuration facts."""
    asserted, shown, claimed = of[0], of[1], of[2]
    if asserted != "-":
        return Verdict(_LETTERS[asserted], 1)
    if shown == "-":
        shown = _side(configuration, 2)
    if shown != "-":
        return Verdict(_LETTERS[shown], 2)
    return UNKNOWN if claimed == "-" else Verdict(_LETTERS[claimed], 3)


def judge_entity(stances: dict[Stance, int], configuration: int) -> Answer:
    """Decide what an entity is from how many of its sessions took which stance.

    A mixed entity's class is the majority at its strongest tier. Sessions in which only services or agents acted say
    what the entity is where no other session and no configuration does.
    """
    spoken: dict[Verdict, int] = {}
    silent: dict[str, int] = {}
    for of, count in stances.items():
        verdict = judge_session(of, configuration)
        if verdict is UNKNOWN:
            silent[of[3]] = silent.get(of[3], 0) + count
        else:
            spoken[verdict] = spoken.get(verdict, 0) + count
    total_silent = sum(silent.values())
    if not spoken:
        return _judge_silent(silent, total_silent, configuration)
    human = sum(count for verdict, count in spoken.items() if verdict.class_ == "human")
    machine = sum(spoken.values()) - human
    strongest = min(verdict.tier or 0 for verdict in spoken)
    candidates = [verdict for verdict in spoken if verdict.tier == strongest]
    majority = max(candidates, key=lambda verdict: (spoken[verdict], verdict.class_))
    kind: Kind = "mixed" if human and machine else "human" if human else "machine"
    return Answer(kind, majority, human, machine, total_silent, len(candidates) > 1)


def _judge_silent(silent: dict[str, int], total: int, configuration: int) -> Answer:
    """Decide where no session speaks for its owner: by configuration, else by who made all the calls."""
    if (configured := _side(configuration, 2)) != "-":  # a role seen only in its trust policy
        class_ = _LETTERS[configured]
        return Answer("human" if class_ == "human" else "machine", Verdict(class_, 2), 0, 0, total)
    if len(silent) == 1 and (caller := next(iter(silent))) != "-":
        return Answer("machine", Verdict(_LETTERS[caller], 3 if caller == "a" else 1), 0, total, 0)
    return Answer("unknown", UNKNOWN, 0, 0, total)
