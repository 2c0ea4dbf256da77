"""Conditions that limit: which of them make an Allow narrower than it looks, and which only seem to.

A condition on the resource (its tags, its account, what it belongs to) narrows which resources are meant; one on the
request's circumstances (MFA, address, time, region, transport) or on the caller's own tags does not. A condition that
holds when its key is absent, that denies values rather than naming them, or whose pattern matches everything, limits
nothing. Sources: IAM user guide, "AWS global condition context keys"; "Multivalued context keys" (ForAllValues).
"""

from __future__ import annotations

import re
from typing import Final

from models.grants.conditions import Clause
from models.grants.document import Statement
from models.grants.match import STAR, Glob

# Circumstances: they say how and when a call is made, not on what.
_CIRCUMSTANCES: Final = frozenset({
    "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:currenttime", "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc", "aws:epochtime", "aws:federatedprovider", "aws:multifactorauthage",
    "aws:multifactorauthpresent", "aws:principalaccount", "aws:principalarn", "aws:principalisawsservice",
    "aws:principalorgid", "aws:principalorgpaths", "aws:principalservicename", "aws:principalservicenameslist",
    "aws:principaltype", "aws:referer", "aws:requestedregion", "aws:securetransport", "aws:sourceidentity",
    "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:tokenissuetime", "aws:useragent", "aws:userid",
    "aws:username", "aws:viaawsservice", "aws:vpcsourceip", "aws:chatbotsourcearn", "sts:externalid",
    "ec2:region", "s3:authtype", "s3:signatureage", "s3:signatureversion", "s3:tlsversion", "s3:x-amz-content-sha256",
    "sts:rolesessionname", "sts:sourceidentity", "aws:sourceinstancearn", "ec2:sourceinstancearn", "lambda:sourcefunctionarn",
})  # fmt: skip
_CALLERS_TAG: Final = "aws:principaltag/"

# Who a caller is, or where a call comes from: what narrows a principal that is anybody.
_CALLERS: Final = frozenset({
    "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount",
    "aws:sourcearn", "aws:sourceip", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc",
    "aws:sourcevpce", "aws:sourcevpcarn", "aws:userid", "aws:username", "aws:vpcsourceip", "aws:vpceaccount",
    "aws:vpceorgid", "aws:vpceorgpaths", "aws:principalservicename", "aws:principalisawsservice",
    "aws:ec2instancesourcevpc", "kms:calleraccount", "s3:dataaccesspointaccount", "s3:dataaccesspointarn",
    "s3:accesspointnetworkorigin", "lambda:eventsourcetoken", "elasticfilesystem:accessedviamounttarget",
    "events:source", "sns:endpoint", "iot:connection.thing.isattached", "execute-api:viaprivateapi",
    "alexa:skillid", "saml:aud", "saml:sub", "saml:iss", "aws:sourceidentity",
})  # fmt: skip
_ARN_KEYS: Final = frozenset({"aws:principalarn", "aws:sourcearn", "s3:dataaccesspointarn"})
_ANY_ADDRESS: Final = frozenset({"0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1"})
_ACCOUNT = re.compile(r"[0-9]{12}")


def names_values(clause: Clause) -> bool:
    """Say whether a clause holds only for values that it names: no negation, no absent key, no pattern for everything."""
    if clause.is_negated or clause.if_exists or clause.quantifier == "all" or clause.family == "null":
        return False
    if clause.family in ("text", "folded text"):
        return bool(clause.patterns) and not any(_is_open(each) for each in clause.patterns)
    return bool(clause.values) and not clause.values & _ANY_ADDRESS


def narrows_resources(statement: Statement) -> bool:
    """Say whether a statement's conditions narrow which resources, or what about them, is meant."""
    return any(
        names_values(each) and each.key not in _CIRCUMSTANCES and not each.key.startswith(_CALLERS_TAG)
        for each in statement.tests
    )


def narrows_callers(statement: Statement) -> bool:
    """Say whether a statement's conditions narrow who the caller may be, where its principal is anybody."""
    return any(names_values(each) and _names_caller(each) for each in statement.tests)


def denies_other_callers(statement: Statement) -> bool:
    """Say whether a Deny shuts out all callers but those that its conditions name (StringNotEquals and its like)."""
    return bool(statement.tests) and all(
        each.is_negated and _names_caller(each) and names_values(each._replace(is_negated=False, if_exists=False))
        for each in statement.tests
    )


def services_passed_to(statement: Statement) -> tuple[Glob, ...] | None:
    """Give the services that iam:PassedToService names; None where the statement does not limit them.

    The key always comes with PassRole, so IfExists takes nothing away here.
    """
    for each in statement.tests:
        if each.key == "iam:passedtoservice" and names_values(each._replace(if_exists=False, quantifier="")):
            return each.patterns
    return None


def _names_caller(clause: Clause) -> bool:
    if clause.key not in _CALLERS:
        return False
    if clause.key == "aws:principalisawsservice":
        return clause.values == {"true"}
    if clause.key == "aws:principalarn":  # anybody can name a role so in an account of his own
        return all(_ACCOUNT.search(each.text) for each in clause.patterns)
    if clause.key in _ARN_KEYS:
        return not any(_is_open_arn(each) for each in clause.patterns)
    return True


def _is_open(pattern: Glob) -> bool:
    return all(token < 0 for token in pattern.tokens) and STAR in pattern.tokens


def _is_open_arn(pattern: Glob) -> bool:
    """See an ARN that names neither an account nor a resource."""
    parts = pattern.text.split(":", 5)
    return len(parts) < 6 or not (_ACCOUNT.search(pattern.text) or parts[5].strip("*?/"))
