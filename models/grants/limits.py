"""Conditions that limit: which of them make an Allow narrower than it looks, and which only seem to.

A condition on the resource (its tags, its account, what it belongs to) narrows which resources are meant; one on the
request's circumstances (MFA, address, time, region, transport) or on the caller's own tags does not. A condition that
holds when its key is absent, that denies values rather than naming them, or whose pattern matches everything, limits
nothing. Sources: IAM user guide, "AWS global condition context keys"; "Multivalued context keys" (ForAllValues).
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from models.grants.conditions import Clause
from models.grants.document import Statement
from models.grants.match import ANY, STAR, Glob, glob, surely_contains

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
    "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpcarn",
    "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "kms:calleraccount", "s3:x-amz-acl", "s3:max-keys",
    "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-storage-class",
})  # fmt: skip
_CALLERS_TAG: Final = "aws:principaltag/"

# Who a caller is, or where a call comes from: what narrows a principal that is anybody.
_CALLERS: Final = frozenset({
    "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount",
    "aws:sourcearn", "aws:sourceip", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc",
    "aws:sourcevpce", "aws:sourcevpcarn", "aws:userid", "aws:vpceaccount",
    "aws:vpceorgid", "aws:vpceorgpaths", "aws:principalservicename", "aws:principalisawsservice",
    "aws:ec2instancesourcevpc", "kms:calleraccount", "s3:dataaccesspointaccount", "s3:dataaccesspointarn",
    "s3:accesspointnetworkorigin", "lambda:eventsourcetoken", "elasticfilesystem:accessedviamounttarget",
    "events:source", "sns:endpoint", "iot:connection.thing.isattached", "execute-api:viaprivateapi",
    "alexa:skillid", "saml:aud", "saml:sub", "saml:iss",
})  # fmt: skip
# Ids that AWS gives out: part of one names nobody, for whoever likes may have another that begins so.
_IDS: Final = frozenset({
    "aws:principalaccount", "aws:sourceaccount", "aws:sourceowner", "aws:vpceaccount", "kms:calleraccount",
    "s3:dataaccesspointaccount", "aws:sourcevpc", "aws:sourcevpce", "aws:principalorgid", "aws:sourceorgid",
    "aws:vpceorgid",
})  # fmt: skip
_ID_PATHS: Final = frozenset({"aws:principalorgpaths", "aws:sourceorgpaths", "aws:vpceorgpaths"})  # an id comes first
_ARNS: Final = frozenset({"aws:principalarn", "aws:sourcearn", "aws:sourcevpcarn", "s3:dataaccesspointarn"})
_OF_AN_ACCOUNT = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(?:[0-9]{12}|\$\{aws:ResourceAccount\})(?:[:*?]|$)", re.IGNORECASE)
_OF_A_BUCKET = re.compile(r"arn:[^:]*:s3:[^:]*:[^:]*:[^*?]")  # no two buckets have one name, whoever's they are
_NAMELESS: Final = ("null", "unknown")  # families of tests that name no value
_WIDEST: Final = {4: 8, 6: 32}  # prefix lengths; wider blocks are anybody's (as S3 has it, "The meaning of public")
PASSED_TO_SERVICE: Final = "iam:passedtoservice"
_ANY_SERVICE: Final = glob("?*.amazonaws.com")


def names_values(clause: Clause) -> bool:
    """Say whether a clause holds only for values that it names: no negation, no absent key, no pattern for everything."""
    if clause.is_negated or clause.if_exists or clause.quantifier == "all" or clause.family in _NAMELESS:
        return False
    if clause.family in ("text", "folded text"):
        return bool(clause.patterns) and not any(_is_open(each, clause.key) for each in clause.patterns)
    if clause.family == "address":
        return bool(clause.values) and not any(_is_wide_block(each) for each in clause.values)
    return bool(clause.values)


def narrows_resources(statement: Statement) -> bool:
    """Say whether a statement's conditions narrow which resources, or what about them, is meant."""
    return any(
        names_values(each) and each.key not in _CIRCUMSTANCES and not each.key.startswith(_CALLERS_TAG)
        for each in statement.tests
    )


def narrows_callers(statement: Statement) -> bool:
    """Say whether a statement's conditions narrow who the caller may be, where its principal is anybody."""
    return any(map(names_callers, statement.tests))


def names_callers(clause: Clause) -> bool:
    """Say whether a clause holds only for callers whom it names."""
    return names_values(clause) and _names_caller(clause)


def denies_other_callers(statement: Statement) -> bool:
    """Say whether a Deny shuts out all callers but those that its conditions name (StringNotEquals and its like)."""
    return bool(statement.tests) and all(
        _spares_services(each) or (each.is_negated and names_callers(each._replace(is_negated=False, if_exists=False)))
        for each in statement.tests
    )


def _spares_services(clause: Clause) -> bool:
    return clause.key == "aws:principalisawsservice" and clause.family == "boolean" and clause.values == {"false"}


def services_passed_to(statement: Statement) -> tuple[Glob, ...] | None:
    """Give the services that a statement's iam:PassedToService names, in a Deny those that it spares; None for any.

    The key always comes with PassRole, so IfExists takes nothing away here.
    """
    for each in statement.tests:
        named = each._replace(if_exists=False, quantifier="", is_negated=each.is_negated == statement.is_allow)
        if each.key == PASSED_TO_SERVICE and names_values(named) and (statement.is_allow or len(statement.tests) == 1):
            return each.patterns
    return None


def _names_caller(clause: Clause) -> bool:
    if clause.key not in _CALLERS:
        return False
    if clause.key == "aws:principalisawsservice":
        return clause.values == {"true"}
    if clause.key in _ARNS:  # anybody can give a thing that name in an account of his own
        return all(_OF_AN_ACCOUNT.match(each.text) or _OF_A_BUCKET.match(each.text) for each in clause.patterns)
    if clause.key in _ID_PATHS:
        return all("/" in each.prefix for each in clause.patterns)
    if clause.key in _IDS:
        return not any(set(each.tokens) & {STAR, ANY} for each in clause.patterns)
    if clause.key == "aws:userid":  # AROA...:session; the session's name is the caller's choice
        return all(each.prefix for each in clause.patterns)
    return True


def _is_open(pattern: Glob, key: str) -> bool:
    if key == PASSED_TO_SERVICE and surely_contains(pattern, _ANY_SERVICE):
        return True
    return all(token < 0 for token in pattern.tokens) and STAR in pattern.tokens


def _is_wide_block(value: str) -> bool:
    try:
        block = ip_network(value, strict=False)
    except ValueError:
        return False
    return block.prefixlen < _WIDEST[block.version]
