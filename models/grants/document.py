"""Policy documents: from text or object, of either version, to statements that can be compared.

Lenient where a reader that refuses would be blind: element names in any case, one statement or a list, one value or a
list, URL-encoded text. Strict where a guess would be wrong: what is cut, masked or of the wrong shape is refused with
the JSON pointer at fault. AWS refuses documents with duplicate keys, but one may come from a record or a file all the
same: then both readings, the first of each key and the last, are kept as far as they allow, and only what both deny
counts as denied; such a policy is never called the same or narrower.
Sources: IAM user guide, "Grammar of the IAM JSON policy language"; "IAM and AWS STS quotas" (no policy is longer than
32,768 characters, KMS key policies; CloudTrail cuts at 100 KB).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from models.grants.cells import Element
from models.grants.conditions import Clause, read_test
from models.grants.match import EVERYTHING, STAR, Glob, TooComplexError, glob

MAX_CHARACTERS: Final = 262_144
MAX_STATEMENTS: Final = 1_000
MAX_PATTERNS: Final = 12_000  # of one document: the shortest take four characters each
MAX_PATTERN: Final = 2_048  # characters that a text must have to match one: no ARN has more
MAX_TESTS: Final = 2_000

MASK: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
VERSIONS: Final = ("2008-10-17", "2012-10-17")
_CUT_FROM: Final = 100_000  # characters from which a document that breaks off was cut by CloudTrail

_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?([0-9]{12})(?::root)?")
_KINDS: Final = {"aws": "AWS", "service": "Service", "federated": "Federated", "canonicaluser": "CanonicalUser"}


class PolicyError(ValueError):
    """A document that cannot be read: `pointer` (JSON pointer) says where, the message why."""

    def __init__(self, pointer: str, reason: str) -> None:
        super().__init__(f"{pointer or 'document'}: {reason}")
        self.pointer = pointer
        self.reason = reason


class Statement(Struct, frozen=True):
    """One statement. Resources are everything where the document names none, as in trust policies."""

    pointer: str  # JSON pointer from the document's root
    is_allow: bool
    actions: Element  # lower case
    resources: Element
    tests: tuple[Clause, ...] = ()
    principals: Element | None = None  # None in policies of identities
    has_resource: bool = True
    sid: str | None = None


class Policy(Struct, frozen=True):
    """One document: its statements, and what makes its reading doubtful."""

    statements: tuple[Statement, ...]
    version: str = VERSIONS[0]
    doubts: tuple[str, ...] = ()


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in order, duplicates and all."""


def parse(document: object, pointer: str = "") -> Policy:
    """Read a policy document, given as text, bytes or the object that the text stands for.

    Raises PolicyError that names the JSON pointer at fault; `pointer` is where the document itself stands.
    """
    value = _decoded(document, pointer)
    last = _Reader(is_first=False)
    policy = last.policy(value, pointer)
    if not last.duplicates:
        return policy
    other = _Reader(is_first=True).policy(value, pointer)
    statements = [each for each in policy.statements if each.is_allow or each in other.statements]
    statements += [each for each in other.statements if each.is_allow and each not in policy.statements]
    doubts = tuple(f"duplicate key {each}" for each in dict.fromkeys(last.duplicates))
    return Policy(tuple(statements), policy.version, doubts)


def is_policy(value: object) -> bool:
    """Say whether an object looks like a policy document."""
    return isinstance(value, dict) and any(isinstance(key, str) and key.lower() == "statement" for key in value)


def _decoded(document: object, pointer: str) -> object:
    if isinstance(document, bytes):
        if len(document) > MAX_CHARACTERS * 4:
            raise PolicyError(pointer, f"longer than {MAX_CHARACTERS:,} characters")
        document = document.decode("utf-8-sig", "replace")
    if not isinstance(document, str):
        return document
    if len(document) > MAX_CHARACTERS:
        raise PolicyError(pointer, f"longer than {MAX_CHARACTERS:,} characters")
    text = document.strip().removeprefix("\ufeff")
    if text in (MASK, "***"):
        raise PolicyError(pointer, "masked in the record")
    if text[:3].lower() in ("%7b", "%5b") or re.match(r"[\[{]%", text):
        text = unquote(text.replace("+", " "))
    try:
        return json.loads(text, object_pairs_hook=_Members)
    except RecursionError:
        raise PolicyError(pointer, "nested too deeply") from None
    except ValueError as error:
        reason = str(error)
        if len(text) >= _CUT_FROM or (isinstance(error, json.JSONDecodeError) and error.pos >= len(text)) or (
            "Unterminated" in reason
        ):  # fmt: skip
            raise PolicyError(pointer, f"cut off after {len(text):,} characters") from None
        raise PolicyError(pointer, f"not JSON: {reason}") from None


class _Reader:
    """Reads one document, taking of duplicate keys the first or the last."""

    def __init__(self, *, is_first: bool) -> None:
        self.is_first = is_first
        self.duplicates: list[str] = []
        self._patterns = 0
        self._tests = 0

    def policy(self, value: object, pointer: str) -> Policy:
        fields = self._fields(value, pointer, "a policy document (an object with Statement)")
        version = fields.get("version", VERSIONS[0])
        if version not in VERSIONS:
            raise PolicyError(f"{pointer}/Version", f"no version of the policy language: {_shown(version)}")
        if "statement" not in fields:
            raise PolicyError(f"{pointer}/Statement", "missing")
        listed = fields["statement"]
        if isinstance(listed, list) and not isinstance(listed, _Members):
            if len(listed) > MAX_STATEMENTS:
                raise PolicyError(f"{pointer}/Statement", f"more than {MAX_STATEMENTS:,} statements")
            places = [(f"{pointer}/Statement/{place}", each) for place, each in enumerate(listed)]
        else:
            places = [(f"{pointer}/Statement", listed)]
        has_variables = version == VERSIONS[1]
        statements = [self._statement(each, where, has_variables=has_variables) for where, each in places]
        return Policy(tuple(statements), version)

    def _statement(self, value: object, pointer: str, *, has_variables: bool) -> Statement:
        fields = self._fields(value, pointer, "a statement (an object)")
        effect = fields.get("effect")
        if not isinstance(effect, str) or effect.lower() not in ("allow", "deny"):
            raise PolicyError(f"{pointer}/Effect", f"neither Allow nor Deny: {_shown(effect)}")
        actions = self._element(fields, "Action", pointer, folds=True)
        if actions is None:
            raise PolicyError(f"{pointer}/Action", "missing")
        resources = self._element(fields, "Resource", pointer, has_variables=has_variables)
        sid = fields.get("sid")
        return Statement(
            pointer=pointer,
            is_allow=effect.lower() == "allow",
            actions=actions,
            resources=resources or Element((EVERYTHING,)),
            tests=self._condition(fields.get("condition"), f"{pointer}/Condition", has_variables=has_variables),
            principals=self._principals(fields, pointer),
            has_resource=resources is not None,
            sid=sid if isinstance(sid, str) else None,
        )

    def _element(
        self, fields: dict[str, Any], name: str, pointer: str, *, folds: bool = False, has_variables: bool = False
    ) -> Element | None:
        positive, negative = name.lower() in fields, f"not{name.lower()}" in fields
        if positive and negative:
            raise PolicyError(f"{pointer}/Not{name}", f"stands beside {name}")
        if not positive and not negative:
            return None
        where = f"{pointer}/{'Not' if negative else ''}{name}"
        texts = self._texts(fields[f"{'not' if negative else ''}{name.lower()}"], where)
        patterns = [self._pattern(text, at, folds=folds, has_variables=has_variables) for at, text in texts]
        return Element(tuple(dict.fromkeys(each for each in patterns if not _is_beyond_any_arn(each))), negative)

    def _pattern(self, text: str, pointer: str, *, folds: bool, has_variables: bool) -> Glob:
        if text == MASK:  # stars are a mask only where they are the whole document; here they match everything
            raise PolicyError(pointer, "masked in the record")
        self._patterns += 1
        if self._patterns > MAX_PATTERNS:
            raise PolicyError(pointer, f"more than {MAX_PATTERNS:,} patterns in one document")
        try:
            return glob(text.strip(), has_variables=has_variables, ignores_case=folds)
        except TooComplexError as error:
            raise PolicyError(pointer, str(error)) from None

    def _texts(self, value: object, pointer: str) -> list[tuple[str, str]]:
        if isinstance(value, str):
            return [(pointer, value)]
        if isinstance(value, list) and not isinstance(value, _Members):
            for place, each in enumerate(value):
                if not isinstance(each, str):
                    raise PolicyError(f"{pointer}/{place}", f"no text: {_shown(each)}")
            return [(f"{pointer}/{place}", each) for place, each in enumerate(value)]
        raise PolicyError(pointer, f"neither text nor a list of texts: {_shown(value)}")

    def _principals(self, fields: dict[str, Any], pointer: str) -> Element | None:
        positive, negative = "principal" in fields, "notprincipal" in fields
        if positive and negative:
            raise PolicyError(f"{pointer}/NotPrincipal", "stands beside Principal")
        if not positive and not negative:
            return None
        where = f"{pointer}/{'NotPrincipal' if negative else 'Principal'}"
        value = fields["notprincipal" if negative else "principal"]
        patterns: list[Glob] = []
        if isinstance(value, str):
            patterns.append(principal("AWS", value))
        else:
            for kind, at, listed in self._members(value, where, "a principal (text or an object)"):
                if kind.lower() not in _KINDS:
                    raise PolicyError(at, "no kind of principal")
                patterns += [principal(_KINDS[kind.lower()], text) for _, text in self._texts(listed, at)]
        return Element(tuple(dict.fromkeys(patterns)), negative)

    def _condition(self, value: object, pointer: str, *, has_variables: bool) -> tuple[Clause, ...]:
        if value is None:
            return ()
        tests: list[Clause] = []
        for operator, at, keys in self._members(value, pointer, "a condition block (an object)"):
            for key, where, given in self._members(keys, at, "keys with values (an object)"):
                tests.append(read_test(operator, key, self._values(given, where), has_variables=has_variables))
                self._tests += 1
                if self._tests > MAX_TESTS:
                    raise PolicyError(where, f"more than {MAX_TESTS:,} conditions in one document")
        return tuple(sorted(set(tests), key=lambda test: (test.key, test.operator, str(test))))

    def _values(self, value: object, pointer: str) -> list[str]:
        listed = value if isinstance(value, list) and not isinstance(value, _Members) else [value]
        texts = []
        for place, each in enumerate(listed):
            if isinstance(each, bool):
                texts.append("true" if each else "false")
            elif isinstance(each, str | int | float):
                texts.append(str(each)[:MAX_PATTERN])
            else:
                raise PolicyError(f"{pointer}/{place}", f"no value of a condition: {_shown(each)}")
        return texts

    def _fields(self, value: object, pointer: str, what: str) -> dict[str, Any]:
        """Give the members of an object by lower-case name."""
        fields: dict[str, Any] = {}
        for name, _, each in self._members(value, pointer, what):
            fields[name.lower()] = each
        return fields

    def _members(self, value: object, pointer: str, what: str) -> Iterator[tuple[str, str, Any]]:
        """List an object's members as (name, pointer, value), each name once whatever its case."""
        pairs = value if isinstance(value, _Members) else list(value.items()) if isinstance(value, dict) else None
        if pairs is None:
            raise PolicyError(pointer, f"not {what}: {_shown(value)}")
        chosen: dict[str, tuple[str, str, Any]] = {}
        for name, each in pairs:
            at = f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}"
            folded = str(name).lower()
            if folded in chosen:
                self.duplicates.append(at)
                if self.is_first:
                    continue
            chosen[folded] = (str(name), at, each)
        return iter(chosen.values())


def _is_beyond_any_arn(pattern: Glob) -> bool:
    """Say whether what a pattern matches is longer than any ARN: it grants and denies nothing, and costs much to compare."""
    return len(pattern.tokens) > MAX_PATTERN and sum(token != STAR for token in pattern.tokens) > MAX_PATTERN


class Named(NamedTuple):
    """A principal as a pattern spells it: its kind and its name."""

    kind: str
    name: str


def principal(kind: str, text: str) -> Glob:
    """Read a principal as a pattern over ``kind:name``.

    An account (its id or root) stands for all of its users and roles; ``*`` for anybody at all. Other wildcards are
    no wildcards in a principal.
    """
    text = text.strip()
    if kind == "AWS" and text == "*":
        return EVERYTHING
    if kind == "AWS" and (account := _ACCOUNT.fullmatch(text)):
        return Glob(text, glob(f"AWS:arn:*::{account[1]}:*").tokens)
    return Glob(text, tuple(map(ord, f"{kind}:{text}")))


def named(pattern: Glob) -> Named:
    """Tell a principal's kind and its name, as the document has it."""
    kind = pattern.prefix.partition(":")[0] if pattern.prefix else "AWS"
    return Named(kind, pattern.text)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    return (
        f"{type(value).__name__} {str(value)[:40]!r}"
        if isinstance(value, str | int | float | bool)
        else "an object or list"
    )
