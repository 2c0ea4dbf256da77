"""Rules on principals: W8 (anybody), W9 (an account outside the organisation), W10 (web identity, SAML).

A document with Principal is a role's trust policy where its actions are of sts, else a resource's policy. In a
resource's policy ``*`` as Resource means this resource, and its account's own root is AWS's default.
Sources: IAM user guide, "AWS JSON policy elements: Principal", "Access to AWS accounts owned by third parties",
"Create a role for OpenID Connect federation", "Create a role for SAML 2.0 federation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from models.finding import Severity
from models.grants.conditions import Clause
from models.grants.document import Policy, Statement, named
from models.grants.limits import denies_other_callers, names_callers, names_values, narrows_callers
from models.grants.match import STAR, Glob, TooComplexError, contains, glob

_ACCOUNT = re.compile(r"^(?:arn:[a-z-]+:(?:iam|sts)::)?([0-9]{12})(?::|$)")
_ACCOUNT_ID = re.compile(r"\b[0-9]{12}\b")
_CALLERS_ACCOUNT: Final = frozenset({"aws:principalaccount", "aws:principalarn"})
_ORGANISATION_KEYS: Final = frozenset({"aws:principalorgid", "aws:principalorgpaths"})
_ORGANISATION = re.compile(r"org(?:anization)?[:/][^:/]*(?:[:/](?:(?:project|pipeline)(?:[:/])?)?)?")
_SUBJECTS: Final = ("repo:", "project_path:", "system:serviceaccount:", "organization:")  # what subjects begin with
_EXTERNAL_ID: Final = "sts:externalid"
# Identity providers for the public: their applications are told apart by the audience, their users by no one.
_PUBLIC_PROVIDERS: Final = {
    "cognito-identity.amazonaws.com": "aud",
    "accounts.google.com": "aud",
    "www.amazon.com": "app_id",
    "graph.facebook.com": "app_id",
}


class Outside(Struct, frozen=True):
    """Which accounts are the organisation's own, and which third parties it trusts; its id where that is known."""

    own: frozenset[str] = frozenset()
    trusted: frozenset[str] = frozenset()
    organisation: str | None = None


class Breach(Struct, frozen=True):
    """One rule that a statement's principals break."""

    rule: str
    severity: Severity
    why: str
    fix: str


def is_trust(policy: Policy) -> bool:
    """Say whether a document with principals is a role's trust policy, or a grant of a key, which reads as one.

    Without Resource other documents come too: a repository's policy has none.
    """
    services = {
        pattern.prefix.partition(":")[0] for statement in policy.statements for pattern in statement.actions.patterns
    }
    has_resource = any(statement.has_resource for statement in policy.statements)
    return "sts" in services or not (has_resource or services - {"", "kms"})


def breaches(policy: Policy, statement: Statement, outside: Outside) -> Iterator[Breach]:
    """List the rules that one statement with principals breaks."""
    if statement.principals is None or not statement.is_allow:
        return
    in_trust = is_trust(policy)
    is_anybody = statement.principals.is_not or any(pattern.is_everything for pattern in statement.principals.patterns)
    if is_anybody:
        yield from _anybody(policy, statement, in_trust=in_trust)
    if not in_trust or statement.principals.is_not:
        return
    if (foreign := _strangers(statement, outside)) and not _names_organisation(statement, outside):
        yield _foreign(statement, foreign, outside)
    for pattern in statement.principals.patterns:
        kind, name = named(pattern)
        if kind == "Federated" and (breach := _federated(statement, name)):
            yield breach
            return


def _anybody(policy: Policy, statement: Statement, *, in_trust: bool) -> Iterator[Breach]:
    denies = [each for each in policy.statements if _denies_all_of(each, statement)]
    if narrows_callers(statement) or any(_spares_only_named(each) for each in denies):
        return
    words = "NotPrincipal allows everybody else" if statement.principals and statement.principals.is_not else (
        "Principal * is anybody, in any account"
    )  # fmt: skip
    if any(not each.tests for each in denies):
        yield Breach("W8", Severity.LOW, f"latent, for a Deny takes it away: {words}", "Take the Allow away.")
        return
    if in_trust and any(each.key == _EXTERNAL_ID and names_values(each) for each in statement.tests):
        yield Breach(
            "W8",
            Severity.HIGH,
            f"{words}; an external id is all that stands before it",
            "Name the account that may assume the role.",
        )
        return
    yield Breach(
        "W8",
        Severity.CRITICAL if in_trust else Severity.HIGH,
        f"{words}, and no condition limits who",
        "Name the principals, or add a condition such as aws:PrincipalOrgID, aws:SourceArn or aws:SourceAccount.",
    )


def _denies_all_of(deny: Statement, statement: Statement) -> bool:
    """Say whether a Deny is about all that an Allow allows, and about everybody but those whom it spares."""
    if deny.is_allow or deny.principals is None or deny.actions.is_not or deny.resources.is_not:
        return False
    if any(pattern.is_everything for pattern in deny.principals.patterns) == deny.principals.is_not:
        return False  # of somebody alone, or of nobody
    try:
        return all(
            any(contains(outer, inner) for outer in theirs.patterns)
            for theirs, ours in ((deny.actions, statement.actions), (deny.resources, statement.resources))
            for inner in ours.patterns
        )
    except TooComplexError:
        return False


def _spares_only_named(deny: Statement) -> bool:
    """Say whether a Deny leaves only callers whom it names: in NotPrincipal, or in its conditions."""
    if deny.principals is not None and deny.principals.is_not:
        return not deny.tests
    return denies_other_callers(deny)


def _strangers(statement: Statement, outside: Outside) -> list[str]:
    """List the accounts and organisations that a trust names and that are not the own: as principals, or as conditions."""
    found: dict[str, None] = {}
    principals = statement.principals.patterns if statement.principals else ()
    for pattern in principals:
        kind, name = named(pattern)
        if kind == "AWS" and (account := _ACCOUNT.match(name)) and account[1] not in outside.own:
            found[account[1]] = None
    if any(pattern.is_everything for pattern in principals):
        for clause in filter(names_callers, statement.tests):
            if clause.key in _CALLERS_ACCOUNT:
                accounts = (account for each in clause.patterns for account in _ACCOUNT_ID.findall(each.text))
                found.update(dict.fromkeys(account for account in accounts if account not in outside.own))
            elif clause.key in _ORGANISATION_KEYS:
                found.update(dict.fromkeys(_other_organisations(clause, outside)))
    return list(found)


def _names_organisation(statement: Statement, outside: Outside) -> bool:
    return any(
        each.key in _ORGANISATION_KEYS and names_callers(each) and not _other_organisations(each, outside)
        for each in statement.tests
    )


def _other_organisations(clause: Clause, outside: Outside) -> list[str]:
    """List the organisations that a clause names beside the own; none where the own is not known."""
    named_ids = [each.text.partition("/")[0] for each in clause.patterns]
    return [each for each in named_ids if each != outside.organisation] if outside.organisation else []


def _foreign(statement: Statement, accounts: list[str], outside: Outside) -> Breach:
    has_external_id = any(each.key == _EXTERNAL_ID and names_values(each) for each in statement.tests)
    unnamed = [account for account in accounts if account not in outside.trusted]
    severity = Severity.LOW if has_external_id else Severity.HIGH if unnamed else Severity.MEDIUM
    known = "not named in the settings" if unnamed else "a trusted third party's"
    ending = "an external id is asked for" if has_external_id else "no external id is asked for"
    kind = "organisation" if accounts[0].startswith("o-") else "account"
    whom = f"{kind} {', '.join((unnamed or accounts)[:5])} outside the organisation, {known}"
    fix = "Name the account under [organisation] of the settings if it is yours or trusted"
    if any(each.text.startswith("kms:") for each in statement.actions.patterns):  # a grant: there is no external id
        return Breach("W9", severity, f"grants the use of a key to {whom}", f"{fix}; retire the grant if it is not.")
    return Breach(
        "W9", severity, f"trusts {whom}; {ending}", f"{fix}; ask a third party for an external id (sts:ExternalId)."
    )


def _federated(statement: Statement, name: str) -> Breach | None:
    if ":saml-provider/" in name:
        if any(each.key == "saml:aud" and names_values(each) for each in statement.tests):
            return None
        return Breach(
            "W10", Severity.HIGH, "trusts a SAML provider without a condition on SAML:aud", "Add StringEquals SAML:aud."
        )
    provider = name.partition(":oidc-provider/")[2] or name
    claim = _PUBLIC_PROVIDERS.get(provider.lower(), "sub")
    own = [each for each in statement.tests if each.key == f"{provider.lower()}:{claim}"]
    good = [each for each in own if names_values(each)]
    if claim != "sub" and good:
        return None
    if not good:
        return Breach(
            "W10",
            Severity.HIGH,
            f"trusts {provider} without a condition that names {claim}",
            f"Add StringEquals {provider}:{claim}.",
        )
    if all(_is_wide(clause) for clause in good):
        values = ", ".join(pattern.text for pattern in good[0].patterns)
        return Breach(
            "W10",
            Severity.HIGH,
            f"trusts {provider} for {values}: a whole organisation or more",
            "Name the repository or the workload in sub.",
        )
    return None


def _is_wide(clause: Clause) -> bool:
    """See a subject in which no more than the organisation is named: ``repo:org/*``, ``organization:org:*``, or wider."""
    return any(_names_no_workload(pattern) for pattern in clause.patterns)


def _names_no_workload(pattern: Glob) -> bool:
    if STAR not in pattern.tokens:
        return False
    prefix = pattern.prefix
    if any(kind.startswith(prefix) for kind in _SUBJECTS):
        return True
    if prefix.startswith(("repo:", "project_path:")):  # GitHub's newer subjects have ids in them: repo:org@*/app@*
        return not glob(pattern.text.replace("@*/", "/")).prefix.partition("/")[2]
    if (organisation := _ORGANISATION.match(prefix)) is not None:  # Terraform Cloud, Buildkite, CircleCI
        return organisation.end() == len(prefix)
    if prefix.startswith("system:serviceaccount:"):
        return not prefix.removeprefix("system:serviceaccount:").rstrip(":")
    return not prefix.rstrip(":/")
