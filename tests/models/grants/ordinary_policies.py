"""Ordinary policies, as accounts are full of them, and ordinary edits with what they are."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Json = dict[str, Any]


def policy(*statements: Json, version: str = "2012-10-17") -> Json:
    """Make a document."""
    return {"Version": version, "Statement": list(statements)}


def allow(actions: Any, resources: Any = "*", **condition: Json) -> Json:
    """Make an Allow; conditions by operator."""
    made = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**made, "Condition": condition} if condition else made


def deny(actions: Any, resources: Any = "*", **condition: Json) -> Json:
    """Make a Deny; conditions by operator."""
    return {**allow(actions, resources, **condition), "Effect": "Deny"}


ME = "arn:aws:iam::*:user/${aws:username}"
ORDINARY: dict[str, Json] = {
    "admin": policy(allow("*")),
    "admin with MFA": policy(allow("*", Bool={"aws:MultiFactorAuthPresent": "true"})),
    "power user": policy(
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        allow(["iam:CreateServiceLinkedRole", "iam:ListRoles", "organizations:DescribeOrganization"]),
    ),
    "read a bucket": policy(
        allow("s3:ListBucket", "arn:aws:s3:::reports"), allow("s3:GetObject", "arn:aws:s3:::reports/*")
    ),
    "write a bucket": policy(allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::uploads/*")),
    "own home": policy(
        allow("s3:ListBucket", "arn:aws:s3:::home", StringLike={"s3:prefix": ["${aws:username}/*"]}),
        allow("s3:*", ["arn:aws:s3:::home/${aws:username}", "arn:aws:s3:::home/${aws:username}/*"]),
    ),
    "own credentials": policy(
        allow(["iam:ListUsers", "iam:GetAccountPasswordPolicy"]),
        allow(["iam:ChangePassword", "iam:GetUser", "iam:*AccessKey*", "iam:*SSHPublicKey*"], ME),
    ),
    "MFA or nothing": policy(
        allow(["iam:CreateVirtualMFADevice", "iam:EnableMFADevice"], ["arn:aws:iam::*:mfa/*", ME]),
        {
            "Effect": "Deny",
            "NotAction": ["iam:CreateVirtualMFADevice", "iam:EnableMFADevice", "sts:GetSessionToken"],
            "Resource": "*",
            "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        },
    ),
    "start by tag": policy(
        allow("ec2:Describe*"),
        allow(["ec2:StartInstances", "ec2:StopInstances"], "arn:aws:ec2:*:*:instance/*",
              StringEquals={"aws:ResourceTag/Owner": "${aws:username}"}),
    ),
    "tag on create": policy(
        allow("ec2:CreateVolume", StringEquals={"aws:RequestTag/project": ["mercury", "venus"]}),
        allow("ec2:CreateTags", "arn:aws:ec2:*:*:volume/*", StringEquals={"ec2:CreateAction": "CreateVolume"}),
        allow("ec2:CreateTags", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["project", "owner"]}}),
    ),
    "pass one role": policy(
        allow("iam:PassRole", "arn:aws:iam::111122223333:role/app", StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    ),
    "function": policy(
        allow("logs:CreateLogGroup", "arn:aws:logs:eu-west-1:111122223333:*"),
        allow(["logs:CreateLogStream", "logs:PutLogEvents"], "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/f:*"),
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], "arn:aws:dynamodb:eu-west-1:111122223333:table/orders"),
    ),
    "queue consumer": policy(allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], "arn:aws:sqs:*:111122223333:orders-*")),
    "publisher": policy(allow("sns:Publish", "arn:aws:sns:eu-west-1:111122223333:alerts")),
    "secrets of one app": policy(
        allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:111122223333:secret:app/*"),
        allow("kms:Decrypt", "arn:aws:kms:*:111122223333:key/*", StringEquals={"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}),
    ),
    "rows by user": policy(
        allow(["dynamodb:GetItem", "dynamodb:Query"], "arn:aws:dynamodb:*:*:table/GameScores",
              **{"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${cognito-identity.amazonaws.com:sub}"]}})
    ),
    "one region": policy(
        allow("*"),
        {"Effect": "Deny", "NotAction": ["iam:*", "sts:*", "route53:*", "support:*"], "Resource": "*",
         "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}}},
    ),
    "office only": policy(
        allow(["s3:Get*", "s3:List*"]),
        deny("*", NotIpAddress={"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}, Bool={"aws:ViaAWSService": "false"}),
    ),
    "contractor": policy(allow(["s3:GetObject"], "arn:aws:s3:::shared/*", DateLessThan={"aws:CurrentTime": "2026-12-31T23:59:59Z"})),
    "fresh MFA": policy(allow("iam:*AccessKey*", ME, NumericLessThan={"aws:MultiFactorAuthAge": "3600"})),
    "no trail tampering": policy(allow("*"), deny(["cloudtrail:StopLogging", "cloudtrail:DeleteTrail"])),
    "TLS only": policy(allow("s3:*", ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]), deny("s3:*", Bool={"aws:SecureTransport": "false"})),
    "read only": policy(allow(["ec2:Describe*", "s3:Get*", "s3:List*", "iam:Get*", "iam:List*", "cloudwatch:*"])),
    "deploy": policy(
        allow(["cloudformation:*", "lambda:*", "apigateway:*"]),
        allow(["iam:CreateRole", "iam:PutRolePolicy", "iam:PassRole"], "arn:aws:iam::111122223333:role/app-*"),
    ),
    "registry": policy(
        allow("ecr:GetAuthorizationToken"),
        allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"], "arn:aws:ecr:*:111122223333:repository/app/*"),
    ),
    "assume audit roles": policy(allow("sts:AssumeRole", "arn:aws:iam::*:role/audit")),
    "one key": policy(allow(["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"], "arn:aws:kms:eu-west-1:111122223333:key/1234")),
    "session manager": policy(
        allow("ssm:StartSession", ["arn:aws:ec2:*:*:instance/*", "arn:aws:ssm:*::document/AWS-StartSSHSession"],
              BoolIfExists={"ssm:SessionDocumentAccessCheck": "true"}),
        allow(["ssm:TerminateSession", "ssm:ResumeSession"], "arn:aws:ssm:*:*:session/${aws:username}-*"),
    ),
    "old version": policy(allow("sqs:*", "arn:aws:sqs:*:*:${aws:username}"), version="2008-10-17"),
    "boundary": policy(allow(["s3:*", "ec2:*", "logs:*"]), deny(["iam:*", "organizations:*"])),
}  # fmt: skip


def edited(name: str, place: int, **changes: Any) -> Json:
    """Change one statement of an ordinary policy; None takes an element away."""
    document = deepcopy(ORDINARY[name])
    for key, value in changes.items():
        if value is None:
            del document["Statement"][place][key]
        else:
            document["Statement"][place][key] = value
    return document


EDITS: list[tuple[Json, Json, str]] = [
    (ORDINARY["own home"], edited("own home", 1, Resource="arn:aws:s3:::home/*"), "widened"),
    (ORDINARY["own home"], edited("own home", 0, Condition=None), "widened"),
    (ORDINARY["start by tag"], edited("start by tag", 1, Condition=None), "widened"),
    (ORDINARY["start by tag"], edited("start by tag", 0, Action=["ec2:DESCRIBE*", "ec2:DescribeInstances"]), "same"),
    (ORDINARY["tag on create"], edited("tag on create", 2, Condition=None), "widened"),
    (ORDINARY["one region"], edited("one region", 1, Condition={"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1"]}}), "narrowed"),
    (ORDINARY["contractor"], edited("contractor", 0, Condition={"DateLessThan": {"aws:CurrentTime": "2027-12-31T23:59:59Z"}}), "widened"),
    (ORDINARY["office only"], edited("office only", 1, Condition={"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}), "narrowed"),
    (ORDINARY["pass one role"], edited("pass one role", 0, Resource="*"), "widened"),
    (ORDINARY["fresh MFA"], edited("fresh MFA", 0, Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "600"}}), "narrowed"),
    (ORDINARY["rows by user"], edited("rows by user", 0, Action=["dynamodb:GetItem"]), "narrowed"),
    (ORDINARY["rows by user"], edited("rows by user", 0, Condition=None), "widened"),
    (ORDINARY["queue consumer"], edited("queue consumer", 0, Resource="arn:aws:sqs:*:111122223333:*"), "widened"),
    (ORDINARY["power user"], edited("power user", 0, NotAction=["organizations:*", "account:*"]), "widened"),
    (ORDINARY["no trail tampering"], ORDINARY["admin"], "widened"),
    (ORDINARY["MFA or nothing"], edited("MFA or nothing", 1, NotAction=["iam:*"]), "same"),
    (ORDINARY["old version"], {**ORDINARY["old version"], "Version": "2012-10-17"}, "widened"),
]  # fmt: skip
