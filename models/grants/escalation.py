"""Privilege escalation: permissions that together let their holder become somebody with more.

The ways are public: Rhino Security Labs, "AWS IAM Privilege Escalation - Methods and Mitigation"; Bishop Fox, "IAM
Vulnerable"; Datadog's pathfinding.cloud. A way is open where each of its permissions is held on resources that the
holder does not choose too narrowly: what acts on somebody else's user, role, group, policy or running thing must be
held on all of that kind, what makes something new on anything at all, PassRole on all roles and for the service that
the way needs. Holding everything (W1) is no escalation; there is nothing left to gain.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec import Struct

from models.finding import Severity
from models.grants.actions import Index, find, takes_every
from models.grants.allowed import Holding
from models.grants.cells import Element
from models.grants.holding import PASS_ROLE, Piece, is_denied, pieces
from models.grants.limits import narrows_resources
from models.grants.match import Glob, glob
from models.grants.wildcards import denies_service, is_every_action, is_wild, passes_any_role


class Way(NamedTuple):
    """One way up: the permissions it takes, and what they let their holder do."""

    permissions: tuple[str, ...]
    gain: str
    service: str | None = None  # to which a role is passed


class Escalation(Struct, frozen=True, kw_only=True):
    """A way that is open to an entity; `pointer` is the statement with the permission that completes it."""

    pointer: str
    rule: str
    severity: Severity
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str
    fix: str
    policy: int = 0


_PASSED: Final = "a role passed to {}, which then acts as that role"

# The permissions in the order in which they are used. A way that holds another whole way is left out of an answer.
WAYS: Final = (
    Way(("iam:CreatePolicyVersion",), "rewrites a policy that it holds itself"),
    Way(("iam:SetDefaultPolicyVersion",), "brings an older, wider version of a policy back"),
    Way(("iam:AttachUserPolicy",), "attaches any policy to any user"),
    Way(("iam:AttachGroupPolicy",), "attaches any policy to any group"),
    Way(("iam:AttachRolePolicy",), "attaches any policy to any role"),
    Way(("iam:PutUserPolicy",), "writes any user's inline policy"),
    Way(("iam:PutGroupPolicy",), "writes any group's inline policy"),
    Way(("iam:PutRolePolicy",), "writes any role's inline policy"),
    Way(("iam:AddUserToGroup",), "puts itself into any group"),
    Way(("iam:UpdateAssumeRolePolicy",), "lets itself assume any role"),
    Way(("iam:CreateAccessKey",), "makes access keys for any user"),
    Way(("iam:CreateLoginProfile",), "makes a console password for any user"),
    Way(("iam:UpdateLoginProfile",), "changes any user's console password"),
    Way(("iam:CreateServiceSpecificCredential",), "makes service credentials for any user"),
    Way(("iam:DeleteRolePermissionsBoundary",), "takes the boundary off any role"),
    Way(("iam:DeleteUserPermissionsBoundary",), "takes the boundary off any user"),
    Way(("sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet"), "widens a permission set"),
    Way(("sso:AttachManagedPolicyToPermissionSet", "sso:ProvisionPermissionSet"), "widens a permission set"),
    Way(("sso:CreateAccountAssignment",), "assigns any permission set to anybody"),
    Way((PASS_ROLE, "ec2:RunInstances"), _PASSED.format("an instance"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "ec2:RequestSpotInstances"), _PASSED.format("an instance"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "ec2:AssociateIamInstanceProfile"), _PASSED.format("a running instance"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "ec2:ReplaceIamInstanceProfileAssociation"), _PASSED.format("a running instance"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "elasticmapreduce:RunJobFlow"), _PASSED.format("a cluster's instances"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "emr-serverless:CreateApplication", "emr-serverless:StartJobRun"), _PASSED.format("a Spark job"), "emr-serverless.amazonaws.com"),
    Way((PASS_ROLE, "scheduler:CreateSchedule"), _PASSED.format("a schedule"), "scheduler.amazonaws.com"),
    Way((PASS_ROLE, "lambda:CreateFunction", "lambda:InvokeFunction"), _PASSED.format("a function"), "lambda.amazonaws.com"),
    Way((PASS_ROLE, "lambda:CreateFunction", "lambda:CreateEventSourceMapping"), _PASSED.format("a function"), "lambda.amazonaws.com"),
    Way((PASS_ROLE, "lambda:CreateFunction", "lambda:AddPermission"), _PASSED.format("a function"), "lambda.amazonaws.com"),
    Way((PASS_ROLE, "lambda:CreateFunction", "lambda:CreateFunctionUrlConfig"), _PASSED.format("a function"), "lambda.amazonaws.com"),
    Way((PASS_ROLE, "glue:CreateDevEndpoint"), _PASSED.format("a Glue endpoint"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "glue:CreateJob", "glue:StartJobRun"), _PASSED.format("a Glue job"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "glue:CreateJob", "glue:CreateTrigger"), _PASSED.format("a Glue job"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "glue:UpdateJob", "glue:StartJobRun"), _PASSED.format("a Glue job"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "glue:UpdateJob", "glue:CreateTrigger"), _PASSED.format("a Glue job"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "glue:CreateSession", "glue:RunStatement"), _PASSED.format("a Glue session"), "glue.amazonaws.com"),
    Way((PASS_ROLE, "cloudformation:CreateStack"), _PASSED.format("a stack"), "cloudformation.amazonaws.com"),
    Way((PASS_ROLE, "cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"), _PASSED.format("a stack set"), "cloudformation.amazonaws.com"),
    Way((PASS_ROLE, "cloudformation:UpdateStackSet"), _PASSED.format("a stack set"), "cloudformation.amazonaws.com"),
    Way((PASS_ROLE, "datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"), _PASSED.format("a pipeline"), "datapipeline.amazonaws.com"),
    Way((PASS_ROLE, "codebuild:CreateProject", "codebuild:StartBuild"), _PASSED.format("a build"), "codebuild.amazonaws.com"),
    Way((PASS_ROLE, "codebuild:CreateProject", "codebuild:StartBuildBatch"), _PASSED.format("a build"), "codebuild.amazonaws.com"),
    Way((PASS_ROLE, "codebuild:UpdateProject", "codebuild:StartBuild"), _PASSED.format("a build"), "codebuild.amazonaws.com"),
    Way((PASS_ROLE, "codestar:CreateProject"), _PASSED.format("a project"), "codestar.amazonaws.com"),
    Way((PASS_ROLE, "ecs:RunTask"), _PASSED.format("a container"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "ecs:RegisterContainerInstance", "ecs:StartTask"), _PASSED.format("a container"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "ecs:RegisterTaskDefinition", "ecs:StartTask"), _PASSED.format("a container"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "ecs:RegisterTaskDefinition", "ecs:CreateService"), _PASSED.format("a container"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "ecs:RegisterTaskDefinition", "ecs:UpdateService"), _PASSED.format("a container"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "sagemaker:CreateNotebookInstance"), _PASSED.format("a notebook"), "sagemaker.amazonaws.com"),
    Way((PASS_ROLE, "sagemaker:CreateTrainingJob"), _PASSED.format("a training job"), "sagemaker.amazonaws.com"),
    Way((PASS_ROLE, "sagemaker:CreateProcessingJob"), _PASSED.format("a processing job"), "sagemaker.amazonaws.com"),
    Way((PASS_ROLE, "apprunner:CreateService"), _PASSED.format("an App Runner service"), "tasks.apprunner.amazonaws.com"),
    Way((PASS_ROLE, "autoscaling:CreateLaunchConfiguration", "autoscaling:CreateAutoScalingGroup"), _PASSED.format("instances"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "autoscaling:CreateLaunchConfiguration", "autoscaling:UpdateAutoScalingGroup"), _PASSED.format("instances"), "ec2.amazonaws.com"),
    Way((PASS_ROLE, "ssm:StartAutomationExecution", "ssm:CreateDocument"), _PASSED.format("an automation"), "ssm.amazonaws.com"),
    Way((PASS_ROLE, "states:CreateStateMachine", "states:StartExecution"), _PASSED.format("a state machine"), "states.amazonaws.com"),
    Way((PASS_ROLE, "batch:RegisterJobDefinition", "batch:SubmitJob"), _PASSED.format("a batch job"), "ecs-tasks.amazonaws.com"),
    Way((PASS_ROLE, "bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:InvokeCodeInterpreter"), _PASSED.format("a code interpreter"), "bedrock-agentcore.amazonaws.com"),
    Way(("lambda:UpdateFunctionCode",), "changes what any function does, and so acts as its role"),
    Way(("lambda:UpdateFunctionConfiguration",), "puts a layer of its own, from whatever account, into any function"),
    Way(("glue:UpdateDevEndpoint",), "puts a key of its own on any Glue endpoint"),
    Way(("sagemaker:CreatePresignedNotebookInstanceUrl",), "opens any notebook, and so acts as its role"),
    Way(("cloudformation:UpdateStack",), "changes any stack by that stack's own role"),
    Way(("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"), "changes any stack by that stack's own role"),
    Way(("ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"), "changes what any instance runs as it starts"),
    Way(("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"), "changes what new instances run"),
    Way(("ec2-instance-connect:SendSSHPublicKey", "ec2:DescribeInstances"), "signs in to any instance, and so acts as its role"),
    Way(("ecs:ExecuteCommand", "ecs:DescribeTasks"), "runs commands in any container, and so acts as its role"),
    Way(("sagemaker:CreateNotebookInstanceLifecycleConfig", "sagemaker:StopNotebookInstance", "sagemaker:UpdateNotebookInstance", "sagemaker:StartNotebookInstance"), "runs code of its own in any notebook"),
    Way(("ssm:SendCommand",), "runs commands on any instance, and so acts as its role"),
    Way(("ssm:StartSession",), "signs in to any instance, and so acts as its role"),
    Way(("sts:AssumeRole",), "assumes any role that trusts its account"),
    Way(("codebuild:StartBuild",), "builds what it likes, as any project's role"),
    Way(("codebuild:StartBuildBatch",), "builds what it likes, as any project's role"),
    Way(("apprunner:UpdateService",), "has any App Runner service run what it likes"),
    Way(("bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"), "runs code as any code interpreter's role"),
)  # fmt: skip

# What these make is new, so that any resource at all will do; all else must be held on everything of its kind.
_MAKES: Final = (
    "create",
    "run",
    "request",
    "register",
    "start",
    "submit",
    "put",
    "publish",
    "activate",
    "invoke",
    "add",
    "update",
)


# What is worth as much on one's own user as on any other.
_ON_ONESELF: Final = frozenset({"iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:DeleteUserPermissionsBoundary"})
_ONESELF: Final = re.compile(r"arn:[^:]*:iam::[^:]*:user/(?:\*/?)?\$\{aws:username\}", re.IGNORECASE)
_DOCUMENT: Final = ":document/"  # of SSM: what is run, and not where

_ALL: Final = tuple(dict.fromkeys(permission.lower() for way in WAYS for permission in way.permissions))
_BY_PIECE: Final = Index(list(_ALL))


def escalations(holding: Holding) -> list[Escalation]:
    """List the ways up that are open to one entity, each once, leaving out those that hold a shorter one."""
    live = [piece for piece in pieces(holding) if not piece.is_latent]
    if any(_is_everything(piece) for piece in live):
        return []
    held = _Held(live)
    found: list[Escalation] = []
    opened: list[frozenset[str]] = []
    for way in sorted(WAYS, key=lambda way: len(way.permissions)):
        permissions = frozenset(way.permissions)
        if any(shorter <= permissions for shorter in opened):
            continue
        by = [held.by(permission, way) for permission in way.permissions]
        if None in by:
            continue
        opened.append(permissions)
        last = max((piece for piece in by if piece is not None), key=lambda piece: _place(live, piece))
        found.append(_escalation(way, last))
    return sorted(
        found, key=lambda each: (each.policy, [piece.statement.pointer for piece in live].index(each.pointer))
    )


class _Held:
    """Which piece of what an entity holds gives it a permission, in the way that is needed."""

    def __init__(self, live: list[Piece]) -> None:
        self._live = live
        self._named = [_named(piece.actions) for piece in live]
        self._known: dict[tuple[str, bool, str | None], Piece | None] = {}

    def by(self, permission: str, way: Way) -> Piece | None:
        is_alone = len(way.permissions) == 1 or way.permissions[0] != PASS_ROLE
        service = way.service if permission == PASS_ROLE else None
        key = (permission, is_alone, service)
        if key not in self._known:
            self._known[key] = next(
                (
                    p
                    for p, named in zip(self._live, self._named, strict=True)
                    if _gives(p, named, permission, service, is_alone=is_alone)
                ),
                None,
            )
        return self._known[key]


def _named(actions: Element) -> frozenset[str]:
    """List the permissions of all ways that a piece's patterns match."""
    named: set[str] = set()
    for pattern in actions.patterns:
        if pattern.is_literal:
            named.add(pattern.literal)
        else:
            named.update(_ALL[place] for place, is_match in _BY_PIECE.search(pattern) if is_match)
    return frozenset(named)


def _gives(piece: Piece, named: frozenset[str], permission: str, service: str | None, *, is_alone: bool) -> bool:
    text = permission.lower()
    if (text in named) == piece.actions.is_not or is_denied(piece, text):
        return False
    if text == PASS_ROLE:
        return passes_any_role(piece.resources) and _passes_to(piece, service)
    if narrows_resources(piece.statement):
        return False
    if not is_alone and text.partition(":")[2].startswith(_MAKES):
        return True  # beside PassRole: what it makes, or what was made before
    return piece.resources.is_not or is_wild(piece.resources) or _on_every(piece, permission)


def _on_every(piece: Piece, permission: str) -> bool:
    action = find(permission)
    if permission in _ON_ONESELF and any(_ONESELF.fullmatch(each.text) for each in piece.resources.patterns):
        return True
    documents = [each for each in piece.resources.patterns if _DOCUMENT in each.text]
    if permission == "ssm:SendCommand" and not any(_runs_anything(each) for each in documents):
        return False
    things = [each for each in piece.resources.patterns if each not in documents]
    return action is not None and any(takes_every(pattern, action) for pattern in things)


def _runs_anything(document: Glob) -> bool:
    name = glob(document.text.partition(_DOCUMENT)[2])
    return any(name.matches(script) for script in ("AWS-RunShellScript", "AWS-RunPowerShellScript"))


def _passes_to(piece: Piece, service: str | None) -> bool:
    if piece.passed_to is None:
        return not narrows_resources(piece.statement)
    return service is None or any(pattern.matches(service) for pattern in piece.passed_to)


def _is_everything(piece: Piece) -> bool:
    if piece.actions.is_not or not is_wild(piece.resources) or narrows_resources(piece.statement):
        return False
    if any(denies_service(each, "iam") for each in piece.denied):  # or all that is left is worth having
        return False
    return any(is_every_action(pattern) for pattern in piece.actions.patterns)


def _place(live: list[Piece], piece: Piece) -> int:
    return next(number for number, each in enumerate(live) if each is piece)


def _escalation(way: Way, piece: Piece) -> Escalation:
    permissions = tuple(_spelled(each) for each in way.permissions)
    return Escalation(
        pointer=piece.statement.pointer,
        policy=piece.policy,
        rule=f"privesc:{'+'.join(permissions)}",
        severity=Severity.HIGH,
        actions=permissions,
        resources=tuple(
            f"not:{each.text}" if piece.resources.is_not else each.text for each in piece.resources.patterns
        ),
        why=f"a way to more rights: {way.gain}",
        fix="Take one of the permissions away, or name its resources"
        + ("; name the roles that may be passed." if PASS_ROLE in way.permissions else "."),
    )


def _spelled(permission: str) -> str:
    action = find(permission)
    return permission if action is None else action.text
