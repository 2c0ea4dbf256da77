"""Patterns: matching, containment and intersection, against brute force over all short texts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.grants.cells import Element, cells_of
from models.grants.match import Glob, TooComplexError, contains, exactly, glob, intersects, shared
from tests.models.grants.evaluator import like

TEXTS = ["".join(each) for length in range(7) for each in itertools.product("abc", repeat=length)]
PATTERNS = st.text("ab*?", max_size=4)
ACTIONS = [
    f"{service}:{name}" for service, name in itertools.product((text for text in TEXTS if 0 < len(text) <= 3), repeat=2)
]


def texts_of(pattern: str) -> set[str]:
    """List what a pattern matches among short texts, by way of an expression."""
    return {text for text in TEXTS if like(pattern, text)}


@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS)
def test_patterns_relate_as_the_texts_that_they_match(one: str, other: str) -> None:
    """What matches, what contains, and what meets agrees with listing all texts up to six characters."""
    first, second = texts_of(one), texts_of(other)
    assert {text for text in TEXTS if glob(one).matches(text)} == first
    assert contains(glob(one), glob(other)) == (second <= first)
    if first & second:
        assert intersects(glob(one), glob(other))
    elif len(one) + len(other) <= 6:
        assert not intersects(glob(one), glob(other))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.text("ab*?", min_size=1, max_size=3), min_size=1, max_size=3), st.booleans()),
        min_size=1,
        max_size=3,
    )
)
def test_cells_are_the_combinations_that_texts_have(given_elements: list[tuple[list[str], bool]]) -> None:
    """Cells of texts are all combinations of elements that some text has, and no others."""
    elements = [Element(tuple(map(glob, patterns)), is_not) for patterns, is_not in given_elements]
    assert {cell.mask for cell in cells_of(elements).cells} == {combination(elements, text) for text in TEXTS[1:]}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.text("ab*?", min_size=1, max_size=2), st.text("ab*?", min_size=1, max_size=2)),
            min_size=1,
            max_size=2,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_cells_of_actions_know_their_one_colon(given_elements: list[list[tuple[str, str]]]) -> None:
    """Cells of actions are those of texts with one colon, and something on either side of it."""
    elements = [Element(tuple(glob(f"{service}:{name}") for service, name in pairs)) for pairs in given_elements]
    cells = cells_of(elements, are_actions=True).cells
    assert {cell.mask for cell in cells} == {combination(elements, text) for text in ACTIONS}


def combination(elements: list[Element], text: str) -> int:
    """Say which elements match a text, in bits."""
    return sum(
        1 << place
        for place, element in enumerate(elements)
        if any(pattern.matches(text) for pattern in element.patterns) != element.is_not
    )


def test_spellings_of_one_pattern_are_one() -> None:
    """Runs of stars are one star, and question marks come before it."""
    assert glob("**") == glob("*") == glob("***")
    assert glob("a*?*b") == glob("a?*b")
    assert glob("S3:Get*", ignores_case=True) == glob("s3:get*")
    assert glob("s3:*") != glob("S3:*")


def test_variables_and_escapes() -> None:
    """A variable is one unknown text where the version has variables; an escape is the character itself."""
    mine = glob("home/${aws:username}/*", has_variables=True)
    assert mine.has_variable
    assert not mine.matches("home/alice/x")
    assert contains(glob("home/*"), mine)
    assert not contains(mine, glob("home/*"))
    assert contains(glob("home/${AWS:UserName}/*", has_variables=True), mine)
    assert not contains(glob("home/?/*"), mine)
    assert glob("a${*}b", has_variables=True).matches("a*b")
    assert not glob("a${*}b", has_variables=True).matches("axb")
    assert glob("a${aws:username}").matches("a${aws:username}")
    assert glob("${a*}").matches("${abc}")
    assert exactly("a*").matches("a*")
    assert not exactly("a*").matches("ab")


def test_what_two_patterns_share() -> None:
    """The narrower where one holds the other, nothing where they never meet."""
    assert shared(glob("*"), glob("s3:*")) == glob("s3:*")
    assert shared(glob("s3:*"), glob("*")) == glob("s3:*")
    assert shared(glob("s3:*"), glob("*:get")) == glob("s3:*")
    assert shared(glob("s3:*"), glob("ec2:*")) is None


@pytest.mark.parametrize("pattern", ["*a" * 100, "?*" * 100, "*?a" * 60 + "b", "*" * 2_000])
def test_hostile_patterns_cost_little(pattern: str) -> None:
    """A hundred wildcards against a long text: no expression backtracks; a test that hangs has failed."""
    assert glob(pattern).matches("a" * 2_000 + "c") in (True, False)
    assert glob(pattern).matches("ab" * 1_000) in (True, False)


def test_containment_gives_up_by_name() -> None:
    """Patterns whose automaton would grow without bound are refused, not walked."""
    with pytest.raises(TooComplexError, match="too complex"):
        contains(glob("*a" + "?" * 20), glob("*ba" + "?" * 20))
    many = [Element((glob("*" + "*".join(each) + "*"),)) for each in itertools.permutations("abcdef", 4)]
    with pytest.raises(TooComplexError, match="overlap"):
        cells_of(many)


def test_glob_shows_what_is_written() -> None:
    """A pattern keeps its spelling for people."""
    assert repr(Glob("x", (120,))) == "Glob('x')"
    assert glob("S3:Get*", ignores_case=True).text == "S3:Get*"
