"""Policy files for `check-policy` and `diff-policy`: what each holds, told by its content, judged and compared.

A file is a policy document, ``{"policies": [document, ...], "boundary": document}`` for all that one entity holds, or
what GetAccountAuthorizationDetails answers, as the AWS CLI writes it. What cannot be read is complained of by file and
JSON pointer and stops nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from models.finding import Severity
from models.grants.allowed import Holding
from models.grants.difference import Change, Grant, difference
from models.grants.document import Policy, PolicyError, is_policy, parse
from models.grants.escalation import Escalation, escalations
from models.grants.tables import managed_document
from models.grants.trust import Outside
from models.grants.weakness import Weakness
from models.grants.wildcards import weaknesses
from models.settings import Settings

MAX_BYTES: Final = 64 * 1_048_576  # of one file: an inventory of a large account
_LISTS: Final = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")


class Answer(Struct, frozen=True):
    """One thing wrong with a policy. The order of the fields is the order in which they are written."""

    file: str
    pointer: str  # JSON pointer to the statement
    rule: str  # W1 to W10, or "privesc:" and the permissions of the way
    severity: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str
    fix: str


class Changed(Struct, frozen=True, omit_defaults=True):
    """What one change allows and no longer allows; `entity` where the files are inventories."""

    change: Change
    added: tuple[Grant, ...]
    removed: tuple[Grant, ...]
    why: str | None = None
    entity: str | None = None


@dataclass(frozen=True)
class Subject:
    """One entity's holding, or one trust or resource policy; latent where nobody holds it."""

    entity: str | None
    holding: Holding
    is_latent: bool = False
    account: str | None = None  # where it is known


@dataclass
class Reading:
    """What was read of files, and what could not be."""

    files: int = 0
    documents: int = 0
    complaints: list[str] = field(default_factory=list)


def check(paths: Iterable[str], settings: Settings, reading: Reading) -> Iterator[Answer]:
    """Judge every file in turn; what cannot be read is noted in the reading."""
    outside = outside_of(settings)
    for path in paths:
        seen: set[Answer] = set()
        for subject in subjects(path, reading):
            for answer in _answers(path, subject, _with_own(outside, subject)):
                if answer not in seen:  # several entities hold the same statement
                    seen.add(answer)
                    yield answer


def compare(old: str, new: str, reading: Reading) -> list[Changed]:
    """Say what the new file allows that the old one does not; of inventories for every entity that changed."""
    before = {subject.entity: subject.holding for subject in subjects(old, reading)}
    after = {subject.entity: subject.holding for subject in subjects(new, reading)}
    if reading.complaints:
        return []
    answers = []
    for entity in dict.fromkeys((*before, *after)):
        found = difference(before.get(entity, Holding(())), after.get(entity, Holding(())))
        if entity is None or found.change != "same":
            answers.append(Changed(found.change, found.added, found.removed, found.why, entity))
    return answers


def outside_of(settings: Settings) -> Outside:
    """Give the accounts that are the organisation's own, and those that it trusts."""
    organisation = settings.organisation
    own = {*organisation.accounts, *([organisation.management_account] if organisation.management_account else ())}
    return Outside(frozenset(own), frozenset(organisation.trusted_accounts), organisation.id)


def _with_own(outside: Outside, subject: Subject) -> Outside:
    return outside if subject.account is None else replace(outside, own=outside.own | {subject.account})


def subjects(path: str, reading: Reading) -> Iterator[Subject]:
    """Read one file: whatever of it can be read, and complaints by name of the rest."""
    try:
        text = _text(path)
        found = list(_told_by_content(text, _Documents(path, reading)))
    except OSError as error:
        reading.complaints.append(f"{path}: {error.strerror or error}")
        return
    except (PolicyError, RecursionError) as error:
        reading.complaints.append(f"{path}: {error if isinstance(error, PolicyError) else 'nested too deeply'}")
        return
    if found:
        reading.files += 1
    yield from found


class _Documents:
    """Reads the documents of one file; one that cannot be read is complained of, and left out."""

    def __init__(self, path: str, reading: Reading) -> None:
        self._path = path
        self._reading = reading

    def read(self, document: object, pointer: str) -> list[Policy]:
        try:
            policy = parse(document, pointer)
        except PolicyError as error:
            self.complain(str(error))
            return []
        self._reading.documents += 1
        return [policy]

    def complain(self, what: str) -> None:
        self._reading.complaints.append(f"{self._path}: {what}")


def _text(path: str) -> str:
    if path == "-":
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PolicyError("", f"longer than {MAX_BYTES:,} bytes")
    return content.decode("utf-8-sig", "replace")


def _told_by_content(text: str, documents: _Documents) -> Iterator[Subject]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # cut, masked or URL-encoded: the document's reader says which
    if isinstance(value, dict) and "policies" in value and not is_policy(value):
        yield from _holding(value, documents)
    elif isinstance(value, dict) and any(key in value for key in _LISTS):
        yield from _Inventory(value, documents).subjects()
    else:
        for policy in documents.read(text, ""):
            yield Subject(None, Holding((policy,)))


def _holding(value: dict[str, Any], documents: _Documents) -> Iterator[Subject]:
    listed = value["policies"]
    if not isinstance(listed, list):
        raise PolicyError("/policies", "not a list of policy documents")
    policies = [policy for n, each in enumerate(listed) for policy in documents.read(each, f"/policies/{n}")]
    boundary = value.get("boundary")
    bounds = [] if boundary is None else documents.read(boundary, "/boundary")
    if boundary is not None and not bounds:
        return  # without its boundary the answer would be another
    if policies or not listed:
        yield Subject(None, Holding(tuple(policies), bounds[0] if bounds else None))


class _Inventory:
    """GetAccountAuthorizationDetails: users, groups and roles with what they hold, and the managed policies."""

    def __init__(self, value: dict[str, Any], documents: _Documents) -> None:
        self._documents = documents
        self._value = value
        self._managed: dict[str, list[Policy]] = {}
        self._attached: set[str] = set()
        for place, policy in enumerate(self._listed(value, "Policies")):
            for number, version in enumerate(self._listed(policy, "PolicyVersionList")):
                if version.get("IsDefaultVersion", version.get("VersionId") == policy.get("DefaultVersionId")):
                    pointer = f"/Policies/{place}/PolicyVersionList/{number}/Document"
                    self._managed[str(policy.get("Arn"))] = documents.read(version.get("Document"), pointer)

    def subjects(self) -> Iterator[Subject]:
        groups: dict[str, list[Policy]] = {}
        for where, group in self._entities("GroupDetailList"):
            groups[str(group.get("GroupName"))] = held = self._held(group, where, "GroupPolicyList")
            yield Subject(str(group.get("Arn")), Holding(tuple(held)))
        for where, user in self._entities("UserDetailList"):
            held = self._held(user, where, "UserPolicyList")
            for name in user.get("GroupList") or []:
                held += groups.get(str(name), [])
            yield Subject(str(user.get("Arn")), Holding(tuple(held), self._boundary(user, where)))
        for where, role in self._entities("RoleDetailList"):
            if ":role/aws-service-role/" in str(role.get("Arn")):
                continue  # AWS's own to write, and nobody else's
            held = self._held(role, where, "RolePolicyList")
            yield Subject(str(role.get("Arn")), Holding(tuple(held), self._boundary(role, where)))
            for trust in self._documents.read(
                role.get("AssumeRolePolicyDocument"), f"{where}/AssumeRolePolicyDocument"
            ):
                yield Subject(f"{role.get('Arn')} trust", Holding((trust,)), account=_account(role))
        for arn, policies in self._managed.items():
            if arn not in self._attached and not arn.startswith("arn:aws:iam::aws:") and policies:
                yield Subject(arn, Holding(tuple(policies)), is_latent=True)

    def _entities(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for place, each in enumerate(self._listed(self._value, name)):
            yield f"/{name}/{place}", each

    def _listed(self, value: dict[str, Any], name: str) -> list[dict[str, Any]]:
        listed = value.get(name) or []
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            self._documents.complain(f"/{name}: not a list of objects")
            return []
        return listed

    def _held(self, entity: dict[str, Any], where: str, name: str) -> list[Policy]:
        held: list[Policy] = []
        for place, inline in enumerate(self._listed(entity, name)):
            held += self._documents.read(inline.get("PolicyDocument"), f"{where}/{name}/{place}/PolicyDocument")
        for place, attached in enumerate(self._listed(entity, "AttachedManagedPolicies")):
            held += self._policy(str(attached.get("PolicyArn")), f"{where}/AttachedManagedPolicies/{place}")
        return held

    def _boundary(self, entity: dict[str, Any], where: str) -> Policy | None:
        named = entity.get("PermissionsBoundary") or {}
        arn = named.get("PermissionsBoundaryArn") if isinstance(named, dict) else None
        found = self._policy(str(arn), f"{where}/PermissionsBoundary") if arn else []
        return found[0] if found else None

    def _policy(self, arn: str, where: str) -> list[Policy]:
        """Find a managed policy: in the inventory, else among those that AWS manages."""
        self._attached.add(arn)
        if arn not in self._managed:
            document = managed_document(arn)
            if document is None:
                self._documents.complain(f"{where}: the document of {arn} is not in the inventory")
            self._managed[arn] = [] if document is None else self._documents.read(document, where)
        return self._managed[arn]


def _account(entity: dict[str, Any]) -> str | None:
    parts = str(entity.get("Arn")).split(":")
    return parts[4] if len(parts) > 5 else None


def _answers(path: str, subject: Subject, outside: Outside) -> Iterator[Answer]:
    found: list[Weakness | Escalation] = [*weaknesses(subject.holding, outside), *escalations(subject.holding)]
    for each in found:
        severity = min(each.severity, Severity.LOW) if subject.is_latent else each.severity
        why = f"held by nobody: {each.why}" if subject.is_latent else each.why
        yield Answer(path, each.pointer, each.rule, severity.label, each.actions, each.resources, why, each.fix)
