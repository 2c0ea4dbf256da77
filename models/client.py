"""Who the client says it is: one parser of user agents, for class evidence, session origins and detectors.

All of it is controlled by the caller: tier 3 at best. A user agent is read word by word, each looked up once, for every
CLI command is a spelling of its own. Sources: AWS SDKs' user-agent format and feature ids (botocore/useragent.py); AWS
CloudTrail user guide, "userAgent"; each tool's own source for how it names itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from models.facts import Facts

Family = Literal["console", "cloudshell", "cli", "sdk", "iac", "browser", "agent", "scanner", "service", "unknown"]

MAX_USER_AGENT: Final = 1024  # characters looked at; what comes after decides nothing
MAX_NAME: Final = 32  # characters kept of a name that no table knows


class Client(Struct, frozen=True, gc=False):
    """What a user agent says of itself: one family, the facts it is evidence of, and what stays with each version."""

    family: Family
    facts: int
    kind: str  # family/name/system, and /platform on a compute platform: the same for all versions of one client
    name: str = ""  # the SDK or program: boto3, aws-cli, terraform, chrome; lower case
    system: str = ""  # linux, macos, windows, ...; kali and the like where it is made for intrusion
    source: str = ""  # where it says that it has its credentials from: instance metadata, environment, ...
    tool: str = ""  # a scanner or a tool of intrusion, by name
    installation: str = ""  # 8 hex digits, the same for all calls of one installed version of it


# The console's own hosts, as a whole: "console.amazonaws.com", "console.ec2.amazonaws.com", never a part of a word.
_CONSOLE_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:console|signin)(?:\.[a-z0-9-]+)*\.(?:amazonaws(?:-us-gov)?\.com|amazonaws(?:\.com)?\.cn"
    r"|aws\.amazon\.com)"
)
_CONSOLE_CLIENT = re.compile(
    r"(?:S3Console|EC2ConsoleFrontend|AWS-Console|AWSConsole)(?:[-/ ,]|$)|AWS (?:Console|Signin)(?: |,|$)"
)
_SERVICE_HOST = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_PLATFORM_ENV = re.compile(
    r"AWS_(?:Lambda|ECS|EKS|Batch|AppRunner|CodeBuild|Glue|EMR|SageMaker)|CodeBuild|GitHubActions|EC2$", re.IGNORECASE
)
_PASSING: Final = ("m/", "md/command#", "md/prompt#", "cfg/", "api/", "Resource", "command/")
_NAME = re.compile(r"[A-Za-z][A-Za-z_.-]*")
_BROWSERS: Final = (
    ("Edg/", "edge"), ("OPR/", "opera"), ("Chrome/", "chrome"), ("Firefox/", "firefox"), ("Safari/", "safari"),
)  # fmt: skip
_SYSTEMS: Final = {
    "linux": "linux", "darwin": "macos", "macos": "macos", "mac_os_x": "macos", "windows": "windows",
    "microsoft_windows": "windows", "android": "android", "ios": "ios",
}  # fmt: skip
# Systems made for breaking in, as kernel or distribution name them: 6.8.11-kali3, 6.5.0-13parrot1, distrib#kali.2025.
_INTRUSION_SYSTEM = re.compile(r"[-+#.\d](kali|parrot|pentoo|blackarch)", re.IGNORECASE)

# What a word before its slash names. Of several families the later in this order is taken, of one the first word.
_RANK: Final[dict[Family, int]] = {"unknown": 0, "sdk": 1, "cli": 2, "iac": 3, "agent": 4, "cloudshell": 5}
_SDKS: Final = ("boto3", "botocore", "boto", "aws-internal", "awslambda-worker", "aws-chalice", "s3fs", "rclone", "rusoto")  # fmt: skip
_IAC: Final = {
    "terraform": "terraform", "terraform-provider-aws": "terraform", "hashicorp": "", "packer": "packer", "vault": "vault",
    "opentofu": "opentofu", "pulumi": "pulumi", "aws-cdk": "aws-cdk", "crossplane": "crossplane", "ansible": "ansible",
    "aws-sam-cli": "aws-sam-cli",
}  # fmt: skip
_BEGINNINGS: Final[tuple[tuple[str, Family], ...]] = (
    ("aws-sdk-", "sdk"), ("awspowershell", "sdk"), ("smithy", "sdk"), ("pulumi-", "iac"), ("crossplane-", "iac"),
)  # fmt: skip
_PLATFORMS: Final = (
    "awslambda-worker", "amazon-ssm-agent", "amazon-ecs-agent", "kubelet", "s3a", "emrfs", "aws-for-fluent-bit",
)  # fmt: skip
_DESKTOPS: Final = ("s3-browser", "cyberduck", "mountainduck", "winscp", "cloudberry", "transmit")
# Names of several words, at the beginning.
_SPACED: Final = {"Scout Suite/": "scoutsuite/", "Amazon ECS Agent": "amazon-ecs-agent/", "S3 Browser": "s3-browser"}
# Who looks over whole accounts: reviews, inventories, compliance.
_SCANNERS: Final = {
    "apn_1826889": "prowler", "prowler": "prowler", "scoutsuite": "scoutsuite", "cloudmapper": "cloudmapper",
    "steampipe": "steampipe", "cloudquery": "cloudquery", "c7n": "cloud-custodian", "cloudsploit": "cloudsploit",
    "cartography": "cartography", "awspx": "awspx", "pmapper": "pmapper", "cloudlist": "cloudlist",
    "electriceye": "electriceye",
}  # fmt: skip
# Who tries keys that were found, or breaks in. Many of these can also speak as a plain SDK does.
_INTRUSION_TOOLS: Final = (
    "trufflehog", "pacu", "cloudfox", "enumerate-iam", "nuclei", "s3scanner", "gitleaks", "betterleaks", "noseyparker",
    "kingfisher", "weirdaal", "keyhacks",
)  # fmt: skip

# Where an SDK has its credentials from (the m/ list), the most telling first: a list may hold several.
_SOURCES: Final = {
    "0": "instance metadata", "z": "container endpoint", "k": "web identity", "q": "web identity", "h": "web identity",
    "AC": "login", "AD": "login", "r": "SSO", "s": "SSO", "t": "SSO", "u": "SSO", "v": "process", "w": "process",
    "g": "environment", "n": "profile", "o": "profile", "x": "profile", "y": "profile", "e": "code", "f": "code",
    "j": "SAML", "l": "federation token", "m": "session token", "i": "assumed role",
}  # fmt: skip
_SOURCE_FACTS: Final = {
    "SSO": Facts.SSO_CREDENTIALS, "login": Facts.SSO_CREDENTIALS, "instance metadata": Facts.PLATFORM_CREDENTIALS,
    "container endpoint": Facts.PLATFORM_CREDENTIALS, "web identity": Facts.PLATFORM_CREDENTIALS,
    "environment": Facts.COPIED_CREDENTIALS, "profile": Facts.COPIED_CREDENTIALS,
}  # fmt: skip
_FAMILY_FACTS: Final[dict[Family, int]] = {
    "cloudshell": Facts.CLOUDSHELL,
    "agent": Facts.AGENT_CLIENT,
    "cli": Facts.CLI,
    "sdk": Facts.SDK,
    "iac": Facts.IAC,
}


def parse_client(user_agent: str) -> Client:
    """Decide which family a user agent belongs to, and what it is evidence of.

    Console clients come in brackets and with commas (``[S3Console/0.4, aws-internal/3 ...]``); a word that merely
    contains "console" is none.
    """
    bare = user_agent[:MAX_USER_AGENT].strip().strip("[]")
    if _CONSOLE_HOST.fullmatch(bare) or _CONSOLE_CLIENT.match(bare):
        return Client("console", Facts.CONSOLE_CLIENT, "console//", "console")
    if bare == "AWS Internal" or _SERVICE_HOST.fullmatch(bare):
        return Client("service", 0, "service//", "aws")
    if bare.startswith("Mozilla/"):
        return _browser(bare)
    for spaced, name in _SPACED.items():
        if bare.startswith(spaced):
            bare = name + bare[len(spaced) :]
    seen = _Seen()
    for word in bare.split():
        head, _, rest = word.partition("/")
        low = head.strip("(),;").lower()
        if (read := _WORDS.get(low)) is not None:
            read(seen, low, rest)
        else:
            for beginning, family in _BEGINNINGS:
                if low.startswith(beginning):
                    seen.take(family, low)
    return seen.client(bare)


def _browser(bare: str) -> Client:
    name = next((name for mark, name in _BROWSERS if mark in bare), "")
    system = "windows" if "Windows" in bare else "macos" if "Macintosh" in bare else "linux" if "Linux" in bare else ""
    return Client("browser", Facts.BROWSER, f"browser/{name}/{system}", name, system)


class _Seen(Struct):
    """What the words of a program's user agent have said so far."""

    family: Family = "unknown"
    facts: int = 0
    name: str = ""
    system: str = ""
    source: str = ""
    tool: str = ""
    is_server: bool = False  # Windows as a server

    def take(self, family: Family, name: str) -> None:
        if _RANK[family] > _RANK[self.family]:
            self.family, self.name = family, name

    def client(self, bare: str) -> Client:
        """Sum up."""
        family, name, facts = self.family, self.name, self.facts | _FAMILY_FACTS.get(self.family, 0)
        if not name and (found := _NAME.match(bare)):
            name = found[0][:MAX_NAME].lower()
        if self.tool not in ("", self.system) and _RANK[family] <= _RANK["sdk"]:
            family, name = "scanner", self.tool
        if self.system == "macos" or (self.system == "windows" and family == "cli" and not self.is_server):
            facts |= Facts.DESKTOP_CLIENT  # other programs do not say which Windows it is
        if family != "cloudshell":  # which hands a person's credentials like a container
            facts |= _SOURCE_FACTS.get(self.source, 0)
        kind = f"{family}/{name}/{self.system}{'/platform' if facts & Facts.PLATFORM_CLIENT else ''}"
        return Client(family, facts, kind, name, self.system, self.source, self.tool, _installation(bare))


def _installation(bare: str) -> str:
    """Hash what stays the same from call to call: versions and system, not the command or the features in use."""
    lasting = " ".join(word for word in bare.split() if not word.startswith(_PASSING))
    return hashlib.sha256(lasting.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _read_system(seen: _Seen, word: str, rest: str) -> None:
    """Read os/linux#6.1, Linux/6.1, Windows/2019Server, OS/Microsoft_Windows_10, (go1.21; darwin; arm64)."""
    spelt = rest.lower() if word == "os" else word
    if not seen.system:
        seen.system = next((system for known, system in _SYSTEMS.items() if spelt.startswith(known)), "")
    seen.is_server |= "Server" in rest
    if "microsoft-standard" in rest:  # a Linux that runs inside a person's Windows
        seen.facts |= Facts.DESKTOP_CLIENT
    _read_intrusion_system(seen, rest)


def _read_intrusion_system(seen: _Seen, rest: str) -> None:
    if found := _INTRUSION_SYSTEM.search(rest):
        seen.system = seen.tool = found[1].lower()
        seen.facts |= Facts.INTRUSION_TOOL


def _read_metadata(seen: _Seen, _word: str, rest: str) -> None:
    key, _, value = rest.partition("#")
    if key == "distrib":
        _read_intrusion_system(seen, rest)
    elif key in ("terraform", "pulumi") and value:
        seen.take("iac", key)


def _read_environment(seen: _Seen, _word: str, rest: str) -> None:
    if rest.startswith("CloudShell"):
        seen.take("cloudshell", "cloudshell")
    elif rest.startswith("AmazonQ-For-CLI"):
        seen.take("agent", "amazonq-for-cli")
    elif _PLATFORM_ENV.match(rest):
        seen.facts |= Facts.PLATFORM_CLIENT


def _read_metrics(seen: _Seen, _word: str, rest: str) -> None:
    codes = rest.rstrip("]").split(",")
    seen.source = seen.source or next((source for code, source in _SOURCES.items() if code in codes), "")


def _read_sdk(seen: _Seen, word: str, _rest: str) -> None:
    seen.take("sdk", word)


def _read_cli(seen: _Seen, word: str, _rest: str) -> None:
    seen.take("cli", word)


def _read_iac(seen: _Seen, word: str, _rest: str) -> None:
    seen.take("iac", _IAC[word])
    seen.name = seen.name or _IAC[word]  # the vendor's word, which names no product, stands before the product's


def _read_labs(seen: _Seen, _word: str, rest: str) -> None:
    if rest.startswith("mcp/"):
        seen.take("agent", "awslabs-mcp")


def _read_platform(seen: _Seen, word: str, _rest: str) -> None:
    seen.facts |= Facts.PLATFORM_CLIENT
    seen.name = seen.name or word


def _read_desktop(seen: _Seen, word: str, _rest: str) -> None:
    seen.facts |= Facts.DESKTOP_CLIENT
    seen.name = seen.name or word


def _read_scanner(seen: _Seen, word: str, _rest: str) -> None:
    seen.tool = _SCANNERS[word]
    seen.facts |= Facts.SCANNER


def _read_intrusion_tool(seen: _Seen, word: str, _rest: str) -> None:
    seen.tool = word
    seen.facts |= Facts.INTRUSION_TOOL


_WORDS: Final[dict[str, Callable[[_Seen, str, str], None]]] = {
    **dict.fromkeys(("os", "windows_nt", *_SYSTEMS), _read_system),
    **dict.fromkeys(_SDKS, _read_sdk),
    **dict.fromkeys(_IAC, _read_iac),
    **dict.fromkeys(_PLATFORMS, _read_platform),
    **dict.fromkeys(_DESKTOPS, _read_desktop),
    **dict.fromkeys(_SCANNERS, _read_scanner),
    **dict.fromkeys(_INTRUSION_TOOLS, _read_intrusion_tool),
    "aws-cli": _read_cli,
    "md": _read_metadata,
    "exec-env": _read_environment,
    "exec_env": _read_environment,
    "m": _read_metrics,
    "awslabs": _read_labs,
}
