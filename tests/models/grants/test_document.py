"""Reading policy documents: every form that AWS takes, and refusal by name of what cannot be read."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from models.grants.allowed import Holding
from models.grants.difference import difference
from models.grants.document import Policy, PolicyError, is_policy, parse, principal
from models.grants.match import EVERYTHING
from models.grants.wildcards import weaknesses
from tests.models.grants.evaluator import Json

STATEMENT: Json = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/${aws:username}/*"}
DOCUMENT: Json = {"Version": "2012-10-17", "Statement": [STATEMENT]}


def text(value: Any) -> str:
    """Write a document."""
    return json.dumps(value)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(DOCUMENT, id="object"),
        pytest.param(text(DOCUMENT), id="text"),
        pytest.param(text(DOCUMENT).encode(), id="bytes"),
        pytest.param(b"\xef\xbb\xbf" + text(DOCUMENT).encode(), id="byte order mark"),
        pytest.param(quote(text(DOCUMENT)), id="URL-encoded"),
        pytest.param(f"\n  {text(DOCUMENT)}\n", id="blanks around"),
        pytest.param({"version": "2012-10-17", "STATEMENT": [{k.lower(): v for k, v in STATEMENT.items()}]}, id="case"),
        pytest.param(text(DOCUMENT).replace("s3:Get*", "\\u0073\\u0033:\\u0047et*"), id="escapes"),
        pytest.param({**DOCUMENT, "Id": "x", "Comment": "ours"}, id="more members"),
    ],
)
def test_forms_of_one_document(given: Any) -> None:
    """However a document comes, its statements are the same."""
    assert parse(given).statements == parse(DOCUMENT).statements


def test_one_statement_or_many_keep_their_pointer() -> None:
    """A statement's pointer leads to it, from wherever the document stands."""
    assert parse({"Statement": STATEMENT}).statements[0].pointer == "/Statement"
    assert parse(DOCUMENT, "/policies/2").statements[0].pointer == "/policies/2/Statement/0"


def test_variables_come_with_the_version() -> None:
    """In documents of 2008, and where no version stands, ``${...}`` is plain text."""
    for version, has_variable in (("2012-10-17", True), ("2008-10-17", False), (None, False)):
        document = {**DOCUMENT, "Version": version} if version else {"Statement": [STATEMENT]}
        (statement,) = parse(document).statements
        assert statement.resources.patterns[0].has_variable is has_variable


def test_elements_and_their_complements() -> None:
    """Not- elements are read as complements, resources are everything where none are named."""
    (statement,) = parse(
        {
            "Statement": {
                "Effect": "Deny",
                "NotAction": ["a:B"],
                "NotPrincipal": {"AWS": ["*"], "Service": "x.amazonaws.com"},
            }
        }
    ).statements
    assert not statement.is_allow
    assert statement.actions.is_not
    assert statement.actions.patterns[0].matches("a:b")
    assert statement.principals is not None
    assert statement.principals.is_not
    assert statement.resources.patterns[0].is_everything
    assert not statement.has_resource


@pytest.mark.parametrize(
    ("operator", "family", "is_negated", "quantifier", "if_exists"),
    [
        ("StringEquals", "text", False, "", False),
        ("stringnotlike", "text", True, "", False),
        ("ForAnyValue:StringLikeIfExists", "text", False, "any", True),
        ("ForAllValues:ArnNotEquals", "text", True, "all", False),
        ("StringEqualsIgnoreCase", "folded text", False, "", False),
        ("BoolIfExists", "boolean", False, "", True),
        ("NumericLessThanEquals", "number", False, "", False),
        ("DateGreaterThan", "date", False, "", False),
        ("NotIpAddress", "address", True, "", False),
        ("BinaryEquals", "text", False, "", False),
        ("Null", "null", False, "", False),
        ("SomethingNew", "unknown", False, "", False),
    ],
)
def test_operators(operator: str, family: str, is_negated: bool, quantifier: str, if_exists: bool) -> None:
    """Every operator is read with its quantifier and IfExists; one that does not exist says nothing."""
    document = {"Statement": {**STATEMENT, "Condition": {operator: {"aws:Key": [True, 5, "x"]}}}}
    (clause,) = parse(document).statements[0].tests
    assert (clause.key, clause.family) == ("aws:key", family)
    assert (clause.is_negated, clause.quantifier, clause.if_exists) == (is_negated, quantifier, if_exists)


@pytest.mark.parametrize(
    ("given", "pointer", "reason"),
    [
        pytest.param("HIDDEN_DUE_TO_SECURITY_REASONS", "", "masked", id="masked"),
        pytest.param("***", "", "masked", id="starred"),
        pytest.param(text(DOCUMENT)[:-9], "", "cut off", id="cut"),
        pytest.param(text({"Statement": [STATEMENT] * 1_200})[:102_400], "", "cut off", id="cut at 100 KB"),
        pytest.param("{'Statement': []}", "", "not JSON", id="not JSON"),
        pytest.param("", "", "cut off", id="empty"),
        pytest.param("[]", "", "a policy document", id="a list"),
        pytest.param("5", "", "a policy document", id="a number"),
        pytest.param({}, "/Statement", "missing", id="no statement"),
        pytest.param({"Version": "2013", "Statement": []}, "/Version", "no version", id="version"),
        pytest.param({"Statement": [5]}, "/Statement/0", "a statement", id="no object"),
        pytest.param({"Statement": {"Action": "*"}}, "/Statement/Effect", "missing", id="no effect"),
        pytest.param({"Statement": {"Effect": "Allow"}}, "/Statement/Action", "missing", id="no action"),
        pytest.param({"Statement": {**STATEMENT, "NotAction": "a:b"}}, "/Statement/NotAction", "beside", id="both"),
        pytest.param({"Statement": {**STATEMENT, "Principal": "*", "NotPrincipal": "*"}}, "/Statement/NotPrincipal", "beside", id="both principals"),
        pytest.param({"Statement": {**STATEMENT, "Action": [["s3:*"]]}}, "/Statement/Action/0", "no text", id="nested"),
        pytest.param({"Statement": {**STATEMENT, "Action": {"s3": "x"}}}, "/Statement/Action", "neither", id="an object"),
        pytest.param({"Statement": {**STATEMENT, "Resource": ["a", "HIDDEN_DUE_TO_SECURITY_REASONS"]}}, "/Statement/Resource/1", "masked", id="masked within"),
        pytest.param({"Statement": {**STATEMENT, "Principal": {"Robot": "x"}}}, "/Statement/Principal/Robot", "no kind", id="principal"),
        pytest.param({"Statement": {**STATEMENT, "Condition": []}}, "/Statement/Condition", "a condition block", id="condition"),
        pytest.param({"Statement": {**STATEMENT, "Condition": {"Bool": {"a/b": [{}]}}}}, "/Statement/Condition/Bool/a~1b/0", "no value", id="condition value"),
    ],
)  # fmt: skip
def test_refusals_name_the_place(given: Any, pointer: str, reason: str) -> None:
    """What cannot be read is refused with the JSON pointer at fault and the reason."""
    with pytest.raises(PolicyError, match=reason) as refusal:
        parse(given)
    assert refusal.value.pointer == pointer


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(" " * 1_048_576 + text(DOCUMENT), "262,144 characters", id="1 MB"),
        pytest.param(b" " * 1_100_000, "262,144 characters", id="1 MB of bytes"),
        pytest.param({"Statement": [STATEMENT] * 10_000}, "1,000 statements", id="10,000 statements"),
        pytest.param("[" * 200_000, "nested too deeply|cut off", id="deep"),
        pytest.param('{"Statement":' * 20_000, "nested too deeply|cut off", id="deep objects"),
        pytest.param({"Statement": {**STATEMENT, "Action": ["a"] * 20_000}}, "12,000 patterns", id="many patterns"),
        pytest.param({"Statement": {**STATEMENT, "Condition": {"Bool": {str(n): 1 for n in range(3_000)}}}}, "2,000 conditions", id="many conditions"),
    ],
)  # fmt: skip
def test_hostile_documents_are_refused_by_name(given: Any, reason: str) -> None:
    """Documents that no account could hold are refused in no time, and say what is too much."""
    started = time.process_time()
    with pytest.raises(PolicyError, match=reason):
        parse(given)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("long", ["arn:aws:s3:::" + "a" * 3_000, "a?*b" * 2_400, "?" * 2_049])
@pytest.mark.parametrize("element", ["Resource", "NotResource", "Action", "NotAction"])
def test_a_pattern_longer_than_any_arn_is_left_out(element: str, long: str) -> None:
    """It matches nothing; what stands beside it is read, for AWS takes a role's policy that holds one."""
    given = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", element: [long, "s3:Get*"]}
    if element.startswith("Not"):
        del given[element[3:]]
    (statement,) = parse({"Statement": given}).statements
    found = statement.actions if element.endswith("Action") else statement.resources
    assert [each.text for each in found.patterns] == ["s3:Get*"]


def test_stars_in_a_row_are_one() -> None:
    """A pattern that is long by its stars alone matches everything, and is judged so."""
    (statement,) = parse({"Statement": {"Effect": "Allow", "Action": "*" * 3_000, "Resource": "*" * 3_000}}).statements
    assert statement.actions.patterns == statement.resources.patterns == (EVERYTHING,)


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param(["*:" + "*a" * 100] * 50, id="100 wildcards"),
        pytest.param([f"*:*{chr(97 + n % 26)}*{chr(97 + n // 26)}*" for n in range(600)], id="600 cross wildcards"),
        pytest.param([f"s3:{'?' * (n % 40)}*{n}" for n in range(600)], id="question marks"),
        pytest.param(["*:" + "?*a" * 60 for _ in range(30)], id="mixed"),
    ],
)
def test_hostile_wildcards_answer_in_bounded_time(actions: list[str]) -> None:
    """Wildcards made to be slow are judged, and compared or given up, in a few seconds of work at most."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": actions}]}
    other = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions[1:], "Resource": ["*", "x?*y"]}],
    }
    started = time.process_time()
    before, after = Holding((parse(document),)), Holding((parse(other),))
    weaknesses(before)
    assert difference(before, after).change in ("widened", "unknown")
    assert time.process_time() - started < 5


def test_duplicate_keys_are_read_both_ways() -> None:
    """Of duplicate keys both readings stand: no Allow is hidden, and only what both deny is denied."""

    def read(statement: str) -> Policy:
        return parse('{"Statement": [' + statement + "]}")

    hidden = read('{"Effect": "Allow", "Action": "*", "action": "s3:Get*", "Resource": "*"}')
    assert [each.actions.patterns[0].text for each in hidden.statements] == ["s3:Get*", "*"]
    assert hidden.doubts == ("duplicate key /Statement/0/action",)
    assert "W1" in {each.rule for each in weaknesses(Holding((hidden,)))}
    assert read('{"Effect": "Deny", "Action": "*", "Action": "s3:*", "Resource": "*"}').statements == ()
    block = (
        '{"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": {"Bool": {"k": true}, "Bool": {"l": true}}}'
    )
    assert len(read(block).statements) == 2


def test_accounts_stand_for_their_principals() -> None:
    """An account's id and its root are one principal, which takes in its users and roles; a role is itself alone."""
    assert principal("AWS", "111122223333") == principal("AWS", "arn:aws:iam::111122223333:root")
    assert principal("AWS", "111122223333").matches("AWS:arn:aws:iam::111122223333:role/r")
    assert not principal("AWS", "arn:aws:iam::111122223333:role/*").matches("AWS:arn:aws:iam::111122223333:role/r")
    assert principal("AWS", "*").is_everything
    assert not principal("Service", "*").is_everything


def test_is_policy() -> None:
    """A document is told by its Statement."""
    assert is_policy(DOCUMENT)
    assert is_policy({"statement": []})
    assert not is_policy({"policies": []})
    assert not is_policy([DOCUMENT])
