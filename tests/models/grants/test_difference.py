"""What a change newly allows: held against a slow evaluator over small worlds in which every request can be asked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.grants.allowed import Holding
from models.grants.cells import Element, cells_of
from models.grants.difference import difference, is_allowed
from models.grants.document import parse
from models.grants.match import glob
from tests.models.grants.evaluator import Json, Request, allows
from tests.models.grants.ordinary_policies import EDITS, ORDINARY

# A world in which each combination of the patterns below is real: whatever a text may match and not match, one of
# these does (test_the_world_is_whole).
ACTIONS = (
    "a:x",
    "a:xy",
    "a:y",
    "a:yx",
    "b:x",
    "b:xy",
    "b:y",
    "b:yx",
    "a:z",
    "b:z",
    "ab:x",
    "ab:z",
    "ab:y",
    "c:z",
    "c:x",
    "c:y",
    "a:yy",
    "a:xz",
)
ACTION_PATTERNS = ("*", "a:*", "b:*", "*:x", "A:X*", "*:*y", "a:?", "a:x", "b:y", "**", "*:*", "a*:*")
RESOURCES = (
    "r",
    "r/1",
    "r/2",
    "r/12",
    "q",
    "q/1",
    "s",
    "r/al",
    "r/bo",
    "q/al",
    "q/bo",
    "R/1",
    "rx/1",
    "r//1",
    "r//a1/1",
    "r/123",
)
RESOURCE_PATTERNS = ("*", "r*", "r/*", "q/*", "*/1", "r/1", "q", "r/?", "r/??")
VARIABLE_PATTERNS = ("r/${k:u}", "q/${k:u}", "?/${k:u}")
CONDITIONS: tuple[Json, ...] = (
    {"StringEquals": {"k:u": "al"}},
    {"StringEquals": {"k:u": ["al", "bo"]}},
    {"StringNotEquals": {"K:U": "al"}},
    {"StringLike": {"k:u": "a*"}},
    {"StringEqualsIfExists": {"k:u": "bo"}},
    {"Null": {"k:u": "false"}},
    {"Null": {"k:u": True}},
    {"Bool": {"k:b": "true"}},
    {"Bool": {"k:b": False}},
    {"NumericLessThan": {"k:n": 5}},
    {"NumericGreaterThanEquals": {"k:n": "5"}, "Bool": {"k:b": "true"}},
)
SET_CONDITIONS: tuple[Json, ...] = (
    {"ForAnyValue:StringEquals": {"k:s": "m"}},
    {"ForAllValues:StringEquals": {"k:s": ["m", "n"]}},
    {"ForAllValues:StringNotEquals": {"k:s": "n"}},
    {"ForAnyValue:StringLike": {"k:s": ["m", "n"]}},
    {"Null": {"k:s": "true"}},
    {"ForAllValues:StringEqualsIfExists": {"k:s": "m"}},
)
CONTEXTS: list[dict[str, str | list[str]]] = [
    {key: value for key, value in {"k:u": user, "k:b": flag, "k:n": number}.items() if value is not None}
    for user, flag, number in itertools.product(
        (None, "al", "bo", "as", "zz"), (None, "true", "false"), (None, "4", "5")
    )
]
SETS: list[dict[str, str | list[str]]] = [
    {"k:s": list(values)} if values else {}
    for size in range(4)
    for values in itertools.combinations(("m", "n", "o"), size)
]


def holding(documents: list[Json], boundary: Json | None = None) -> Holding:
    """Read documents as what one entity holds."""
    return Holding(tuple(parse(each) for each in documents), parse(boundary) if boundary else None)


def statement(resources: tuple[str, ...], conditions: tuple[Json, ...]) -> st.SearchStrategy[Json]:
    """Make statements over the small world."""
    few_actions = st.lists(st.sampled_from(ACTION_PATTERNS), min_size=1, max_size=3)
    few_resources = st.lists(st.sampled_from(resources), min_size=1, max_size=3)

    def build(effect: str, action: str, actions: list[str], resource: str, named: list[str], block: Any) -> Json:
        made = {"Effect": effect, action: actions, resource: named}
        return {**made, "Condition": block} if block else made

    return st.builds(
        build,
        st.sampled_from(("Allow", "Allow", "Deny")),
        st.sampled_from(("Action", "Action", "Action", "NotAction")),
        few_actions,
        st.sampled_from(("Resource", "Resource", "Resource", "NotResource")),
        few_resources,
        st.one_of(st.none(), st.sampled_from(conditions)),
    )


def sides(
    resources: tuple[str, ...] = RESOURCE_PATTERNS, conditions: tuple[Json, ...] = CONDITIONS
) -> st.SearchStrategy[tuple[list[Json], Json | None]]:
    """Make sets of policies, some with a boundary."""
    document = st.lists(statement(resources, conditions), min_size=1, max_size=3).map(
        lambda statements: {"Version": "2012-10-17", "Statement": statements}
    )
    return st.tuples(st.lists(document, min_size=1, max_size=2), st.one_of(st.none(), st.none(), document))


def reference(before: Any, after: Any, contexts: list[Any]) -> tuple[bool, bool]:
    """Ask every request: is any newly allowed, any no longer? Keys that no document names are left out of it."""
    named = str((before, after)).lower()
    kept = {str(each): each for each in ({k: v for k, v in context.items() if k in named} for context in contexts)}
    gained = lost = False
    for action, resource, context in itertools.product(ACTIONS, RESOURCES, kept.values()):
        request = Request(action, resource, context)
        was, now = (allows(documents, boundary, request) for documents, boundary in (before, after))
        gained |= now and not was
        lost |= was and not now
    return gained, lost


def expected(gained: bool, lost: bool) -> str:
    """Name the change."""
    return "widened" if gained else "narrowed" if lost else "same"


@pytest.mark.parametrize(
    ("patterns", "world", "are_actions"),
    [
        pytest.param(ACTION_PATTERNS, ACTIONS, True, id="actions"),
        pytest.param(RESOURCE_PATTERNS, RESOURCES, False, id="resources"),
    ],
)
def test_the_world_is_whole(patterns: tuple[str, ...], world: tuple[str, ...], are_actions: bool) -> None:
    """Every combination of the small world's patterns that any text has, some text of the world has."""
    elements = [Element((glob(pattern, ignores_case=are_actions),)) for pattern in patterns]
    there = {
        sum(1 << place for place, element in enumerate(elements) if element.patterns[0].matches(text)) for text in world
    }
    assert {cell.mask for cell in cells_of(elements, are_actions=are_actions).cells} == there


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides(), sides())
def test_agrees_with_asking_every_request(before: Any, after: Any) -> None:
    """Over a small world, what the engine says of any two sets of policies is what asking everything shows."""
    answer = difference(holding(*before), holding(*after))
    assert answer.change == expected(*reference(before, after, CONTEXTS))
    assert bool(answer.added) == (answer.change == "widened")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides(), st.data())
def test_agrees_on_small_changes(before: Any, data: st.DataObject) -> None:
    """A statement more, less, or turned round is judged as asking everything shows."""
    documents, boundary = before
    kept = [dict(each, Statement=list(each["Statement"])) for each in documents]
    target = data.draw(st.sampled_from(kept))["Statement"]
    if data.draw(st.booleans()):
        target.insert(0, data.draw(statement(RESOURCE_PATTERNS, CONDITIONS)))
    else:
        target.reverse()
        target.pop() if len(target) > 1 else target.append(target[0])
    answer = difference(holding(*before), holding(kept, boundary))
    assert answer.change == expected(*reference(before, (kept, boundary), CONTEXTS))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides(conditions=SET_CONDITIONS), sides(conditions=SET_CONDITIONS))
def test_agrees_on_keys_with_several_values(before: Any, after: Any) -> None:
    """ForAllValues and ForAnyValue are decided over every set of values, the empty one among them."""
    answer = difference(holding(*before), holding(*after))
    assert answer.change == expected(*reference(before, after, SETS))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sides(RESOURCE_PATTERNS[:6] + VARIABLE_PATTERNS), sides(RESOURCE_PATTERNS[:6] + VARIABLE_PATTERNS))
def test_is_sound_with_variables(before: Any, after: Any) -> None:
    """With policy variables nothing that any request shows to be newly allowed is called the same or narrower."""
    gained, lost = reference(before, after, CONTEXTS)
    change = difference(holding(*before), holding(*after)).change
    if gained:
        assert change in ("widened", "unknown")
    elif lost:
        assert change != "same"


LONG_ACTIONS = st.text("abx*?", min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(LONG_ACTIONS, LONG_ACTIONS), min_size=2, max_size=8), st.integers(1, 7), st.data())
def test_samples_of_large_worlds_agree(pairs: list[tuple[str, str]], cut: int, data: st.DataObject) -> None:
    """Over patterns of any kind no sampled request contradicts the answer."""
    statements = [
        {"Effect": "Allow" if number % 3 else "Deny", "Action": f"s:{action}", "Resource": resource}
        for number, (action, resource) in enumerate(pairs, 1)
    ]
    before: list[Json] = [{"Statement": statements[:cut] or statements}]
    after: list[Json] = [{"Statement": statements[cut - 1 :] or statements}]
    change = difference(holding(before), holding(after)).change
    text = st.text("abxc", min_size=1, max_size=6)
    for _ in range(10):
        request = Request(f"s:{data.draw(text)}", data.draw(text))
        if allows(after, None, request) and not allows(before, None, request):
            assert change in ("widened", "unknown")


def allow(action: Any, resource: Any = "*", **more: Any) -> Json:
    """Make a policy that allows one thing."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        pytest.param([allow("s3:Get*")], [allow(["S3:GET*", "s3:GetObject"], ["*", "arn:aws:s3:::b"])], "same", id="reformat"),
        pytest.param([allow("*")], [allow("*:*")], "same", id="star is star-colon-star"),
        pytest.param([allow(["s3:a", "s3:b"])], [allow("s3:a"), allow("s3:b")], "same", id="split in two"),
        pytest.param([allow("s3:*", Condition=MFA)], [allow("s3:*")], "widened", id="a condition lost"),
        pytest.param([allow("s3:*")], [allow("s3:*", Condition=MFA)], "narrowed", id="a condition won"),
        pytest.param([allow("newservice:Get*")], [allow("newservice:*")], "widened", id="a service that no table knows"),
        pytest.param([allow("*")], [allow("newservice:*")], "narrowed", id="within everything"),
        pytest.param([allow("s3:*", "a*")], [allow("s3:*", "A*")], "widened", id="resources tell case apart"),
        pytest.param([allow("s3:*", "a/${aws:username}/*")], [allow("s3:*", "a/*")], "widened", id="a variable lost"),
        pytest.param([allow("s3:*", "a/*")], [allow("s3:*", "a/${aws:username}/*")], "narrowed", id="a variable won"),
        pytest.param(
            [allow("s3:*", "a/${aws:username}")], [allow("s3:*", ["a/${aws:username}", "a/${aws:username}/*"])],
            "widened", id="more of one's own",
        ),
        pytest.param(
            [allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})],
            [allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/9", "10.128.0.0/9"]}})],
            "same", id="a network in halves",
        ),
        pytest.param(
            [allow("s3:*", Condition={"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}})],
            [allow("s3:*", Condition={"DateLessThan": {"aws:CurrentTime": "2027-01-01T00:00:00Z"}})],
            "widened", id="a later date",
        ),
        pytest.param(
            [allow("s3:*", Condition={"StringEquals": {"aws:PrincipalTag/a": "x"}})],
            [allow("s3:*", Condition={"StringEqualsIfExists": {"aws:PrincipalTag/a": "x"}})],
            "widened", id="IfExists",
        ),
    ],
)  # fmt: skip
def test_changes(before: list[Json], after: list[Json], change: str) -> None:
    """Known changes are called by their names."""
    assert difference(holding(before), holding(after)).change == change


def test_loss_of_a_deny_or_boundary_is_a_widening() -> None:
    """What held a grant back counts as much as the grant, and the answer names what came free."""
    deny = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}
    lost = difference(holding([allow("*"), deny]), holding([allow("*")]))
    assert lost.change == "widened"
    assert lost.added[0].actions == ("iam:*",)
    assert difference(holding([allow("*")], allow("s3:*")), holding([allow("*")])).change == "widened"
    assert difference(holding([allow("s3:*")], allow("*")), holding([allow("s3:*")])).change == "same"


def test_doubtful_reading_is_unknown() -> None:
    """A document with duplicate keys is never called the same, and the answer says why."""
    odd = parse('{"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Action": "s3:*", "Resource": "*"}}')
    answer = difference(Holding((odd,)), Holding((odd,)))
    assert answer.change == "unknown"
    assert answer.why is not None
    assert "Action" in answer.why


def test_tests_that_cannot_be_compared_are_unknown() -> None:
    """Tests of one key by operators of different kinds are not compared by guess."""
    before = holding([allow("s3:*", Condition={"StringEquals": {"a:b": "1"}})])
    after = holding([allow("s3:*", Condition={"NumericEquals": {"a:b": "1"}})])
    answer = difference(before, after)
    assert answer.change == "unknown"
    assert "a:b" in (answer.why or "")
    assert difference(after, after).change == "same"


def test_principals_are_compared() -> None:
    """In a trust policy an account takes in its roles, anybody takes in all."""

    def trust(principal: Any) -> Holding:
        return holding([{"Statement": {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}}])

    role, account = trust({"AWS": "arn:aws:iam::111122223333:role/r"}), trust({"AWS": "111122223333"})
    assert difference(role, account).change == "widened"
    assert difference(account, role).change == "narrowed"
    assert difference(account, trust({"AWS": "arn:aws:iam::111122223333:root"})).change == "same"
    assert difference(trust("*"), trust({"AWS": "*"})).change == "same"
    assert difference(account, trust("*")).added[0].principals == ("*",)


def test_part_and_whole() -> None:
    """A holding is allowed by another where it adds nothing to it."""
    assert is_allowed(holding([allow("s3:Get*")]), holding([allow("s3:*")])) is True
    assert is_allowed(holding([allow("s3:*")]), holding([allow("s3:Get*")])) is False


def test_ordinary_policies_are_decided() -> None:
    """Of all pairs of ordinary policies, and of ordinary edits, fewer than one in twenty is unknown."""
    read = {name: holding([document]) for name, document in ORDINARY.items()}
    answers = [difference(one, other).change for one, other in itertools.permutations(read.values(), 2)]
    edits = [difference(holding([before]), holding([after])).change for before, after, _ in EDITS]
    assert answers.count("unknown") / len(answers) < 0.05
    assert edits == [change for _, _, change in EDITS]
    assert all(difference(each, each).change == "same" for each in read.values())
