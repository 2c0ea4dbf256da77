"""Who the client says it is: one parser of user agents, for class evidence, session origins and detectors.

All of it is controlled by the caller: tier 3 at best. Sources: AWS SDK user-agent feature ids (botocore/useragent.py);
AWS CloudTrail user guide, "userAgent".
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from models.facts import Facts

Family = Literal["console", "cloudshell", "cli", "sdk", "iac", "browser", "agent", "service", "unknown"]

MAX_USER_AGENT: Final = 1024  # characters looked at; what comes after decides nothing


class Client(Struct, frozen=True, gc=False):
    """What a user agent says of itself: one family, and the facts it is evidence of."""

    family: Family
    facts: int


# The console's own hosts, as a whole token: "console.amazonaws.com", "console.ec2.amazonaws.com", never a part of a word.
_CONSOLE_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:console|signin)(?:\.[a-z0-9-]+)*\.(?:amazonaws\.com(?:\.cn)?|aws\.amazon\.com)"
)
_CONSOLE_CLIENT = re.compile(
    r"(?:S3Console|EC2ConsoleFrontend|AWS-Console|AWSConsole)(?:[-/ ,]|$)|AWS (?:Console|Signin)(?: |,|$)"
)
_SERVICE_HOST = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_AGENT = re.compile(r"(?:^|\s)awslabs/mcp/")
_EXEC_ENV = re.compile(r"exec-env/(\S+)")
_PLATFORM_ENV = re.compile(
    r"AWS_(?:Lambda|ECS|EKS|Batch|AppRunner|CodeBuild|Glue|EMR|SageMaker)|CodeBuild|GitHubActions|EC2$", re.IGNORECASE
)
_PLATFORM = re.compile(
    r"^awslambda-worker/|^amazon-ssm-agent/|^aws-sdk-\S+ .*\bexec_env/AWS_|^kubelet/|^S3A/|^EMRFS/|^aws-for-fluent-bit|^Amazon ECS Agent",
    re.IGNORECASE,
)
_CLI = re.compile(r"^aws-cli/")
_IAC = re.compile(
    r"Terraform/|HashiCorp/1\.0|OpenTofu/|Pulumi/|\bpulumi-|aws-cdk/|md/(?:terraform|pulumi)#|Crossplane/|crossplane-",
    re.IGNORECASE,
)
_SDK = re.compile(
    r"^(?:boto3|botocore|aws-sdk-|aws-internal/|awslambda-worker/|AWSPowerShell|aws-chalice|s3fs/|rclone/|Smithy|app/|rusoto)|\bBotocore/",
    re.IGNORECASE,
)
_BROWSER = re.compile(r"^Mozilla/")
# macOS, and a Linux that runs inside Windows, are people's desks; Windows alone may be a server, but not under the CLI.
_DESKTOP = re.compile(
    r"\bos/macos\b|\bDarwin/|microsoft-standard|\bos/windows\b.*\bmd/command#|^aws-cli/\S+ .*\bWindows/", re.IGNORECASE
)
# Words of which each match has one. A search for what any case could begin is slow, a look for words is not: where a
# client has none of them, the pattern is not tried.
_IAC_WORDS: Final = ("terraform", "hashicorp/1.0", "opentofu/", "pulumi", "aws-cdk/", "crossplane")
_DESKTOP_WORDS: Final = ("os/macos", "darwin/", "microsoft-standard", "windows")
_METRICS = re.compile(r"(?:^|\s)m/([A-Za-z0-9+,-]+)")
_LOGIN_CODES: Final = frozenset({"r", "s", "t", "u", "AC", "AD"})  # SSO and `aws login`
_PLATFORM_CODES: Final = frozenset({"0", "z", "k", "q", "h"})  # instance metadata, container endpoint, web identity


def parse_client(user_agent: str) -> Client:
    """Decide which family a user agent belongs to and what it is evidence of.

    Console clients come in brackets and with commas (``[S3Console/0.4, aws-internal/3 ...]``); a word that merely
    contains "console" is none.
    """
    agent = user_agent[:MAX_USER_AGENT].strip()
    bare = agent.strip("[]")
    facts = _platform_facts(bare)
    family = _family(bare)
    match family:
        case "console":
            facts |= Facts.CONSOLE_CLIENT
        case "cloudshell":
            facts |= Facts.CLOUDSHELL
        case "agent":
            facts |= Facts.AGENT_CLIENT
        case "browser":
            facts |= Facts.BROWSER
        case "cli":
            facts |= Facts.CLI
        case "sdk":
            facts |= Facts.SDK
        case "iac":
            facts |= Facts.IAC
        case _:
            pass
    return Client(family, facts)


def _family(bare: str) -> Family:
    """Name the family: the more particular before the more general."""
    if _CONSOLE_HOST.fullmatch(bare) or _CONSOLE_CLIENT.match(bare):
        return "console"
    if "exec-env/CloudShell" in bare:
        return "cloudshell"
    for family, pattern, words in _FAMILIES:
        if _has_any(words, bare) and pattern.search(bare):
            return family
    return "service" if _SERVICE_HOST.fullmatch(bare) or bare == "AWS Internal" else "unknown"


def _has_any(words: tuple[str, ...], bare: str) -> bool:
    """Say whether a client has one of the words, in any case; of no words it has one always."""
    if not words:
        return True
    lowered = bare.lower()
    return any(word in lowered for word in words)


_FAMILIES: Final[tuple[tuple[Family, re.Pattern[str], tuple[str, ...]], ...]] = (
    ("agent", _AGENT, ("awslabs/mcp/",)),
    ("iac", _IAC, _IAC_WORDS),
    ("cli", _CLI, ()),
    ("sdk", _SDK, ()),
    ("browser", _BROWSER, ()),
)


def _platform_facts(bare: str) -> int:
    """Collect what the client says of where it runs and where its credentials come from."""
    facts = 0
    environment = _EXEC_ENV.search(bare)
    if (environment and _PLATFORM_ENV.match(environment[1])) or _PLATFORM.search(bare):
        facts |= Facts.PLATFORM_CLIENT
    if _has_any(_DESKTOP_WORDS, bare) and _DESKTOP.search(bare):
        facts |= Facts.DESKTOP_CLIENT
    if codes := _METRICS.search(bare):
        used = set(codes[1].split(","))
        if used & _LOGIN_CODES:
            facts |= Facts.SSO_CREDENTIALS
        if (
            used & _PLATFORM_CODES and "exec-env/CloudShell" not in bare
        ):  # which hands a person's credentials like a container
            facts |= Facts.PLATFORM_CREDENTIALS
    return facts
