"""The parser of user agents, held to a table of real spellings."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from models.client import Family, parse_client
from models.facts import Facts


class Row(NamedTuple):
    """A user agent and what it says."""

    user_agent: str
    family: Family
    facts: int = 0
    name: str = ""
    system: str = ""
    source: str = ""
    tool: str = ""


DESK, COPIED = Facts.CLI | Facts.DESKTOP_CLIENT, Facts.COPIED_CREDENTIALS
KALI = Facts.CLI | Facts.INTRUSION_TOOL
TABLE = [
    # The console and its clients
    Row("console.amazonaws.com", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("console.ec2.amazonaws.com", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("eu-west-1.console.aws.amazon.com", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("console.amazonaws.cn", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("console.amazonaws-us-gov.com", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("signin.amazonaws.com", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10.192 OpenJDK_64-Bit_Server_VM/25.372-b08]", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4.238", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("[AWS Console S3, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4.156]", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.12.582 Linux/5.10.199", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("AWS-Console-Mobile-App/3.0", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("AWS Signin, aws-internal/3 aws-sdk-java/1.12.700 Linux/5.10", "console", Facts.CONSOLE_CLIENT, "console"),
    Row("aws-cli/2.15.1 Python/3.11.6 Linux/6.1.66 exec-env/CloudShell exe/x86_64.amzn.2023 prompt/off command/s3.ls", "cloudshell", Facts.CLOUDSHELL, "cloudshell", "linux"),
    Row("aws-cli/2.31.1 md/awscrt#0.27.6 ua/2.1 os/linux#6.1.147 exec-env/CloudShell m/z,b,E cfg/retry-mode#standard", "cloudshell", Facts.CLOUDSHELL, "cloudshell", "linux", "container endpoint"),
    # Near misses of the console
    Row("console.amazonaws.com.evil.example", "unknown", 0, "console.amazonaws.com.evil.examp"),
    Row("acme-console/1.0 Boto3/1.34.0 Botocore/1.34.0", "sdk", Facts.SDK, "boto3"),
    Row("aws-sdk-go/1.44.0 (go1.21; linux; amd64) console.amazonaws.com", "sdk", Facts.SDK, "aws-sdk-go", "linux"),
    Row("consoleme/1.2", "unknown", 0, "consoleme"),
    # People's desks
    Row("aws-cli/2.15.30 Python/3.11.8 Darwin/23.4.0 source/arm64 prompt/off command/sts.get-caller-identity", "cli", DESK, "aws-cli", "macos"),
    Row("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/macos#14.5 md/arch#arm64 lang/python#3.11.9", "cli", DESK, "aws-cli", "macos"),
    Row("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#5.15.153.1-microsoft-standard-WSL2 md/arch#x86_64", "cli", DESK, "aws-cli", "linux"),
    Row("aws-cli/2.15.30 Python/3.11.8 Windows/10 exe/AMD64 prompt/off", "cli", DESK, "aws-cli", "windows"),
    Row("aws-cli/2.15.30 Python/3.11.8 Windows/2019Server exe/AMD64 prompt/off", "cli", Facts.CLI, "aws-cli", "windows"),
    Row("aws-cli/2.32.0 md/awscrt#0.28.4 ua/2.1 os/windows#2022Server md/arch#amd64 lang/python#3.13.9 m/0,E", "cli", Facts.CLI | Facts.PLATFORM_CREDENTIALS, "aws-cli", "windows", "instance metadata"),
    Row("aws-cli/2.32.0 md/awscrt#0.28.4 ua/2.1 os/windows#11 md/arch#amd64 lang/python#3.13.9 m/AC,Z,E md/command#login", "cli", DESK | Facts.SSO_CREDENTIALS, "aws-cli", "windows", "login"),
    Row("aws-cli/2.31.1 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 lang/python#3.13.7 m/r,s,E,Z,b cfg/retry-mode#standard", "cli", Facts.CLI | Facts.SSO_CREDENTIALS, "aws-cli", "linux", "SSO"),
    Row("aws-sdk-go/1.44.157 (go1.19.3; darwin; arm64)", "sdk", Facts.SDK | Facts.DESKTOP_CLIENT, "aws-sdk-go", "macos"),
    Row("aws-sdk-go-v2/1.39.0 ua/2.1 os/macos lang/go#1.24.2 md/GOOS#darwin md/GOARCH#arm64 api/s3#1.88.1 m/g", "sdk", Facts.SDK | Facts.DESKTOP_CLIENT | COPIED, "aws-sdk-go-v2", "macos", "environment"),
    Row("aws-sdk-dotnet-coreclr/3.3.10.3 aws-sdk-dotnet-core/3.3.24.3 .NET_Core/4.6.26628.05 OS/Darwin_17.7.0_Darwin_Kernel ClientAsync", "sdk", Facts.SDK | Facts.DESKTOP_CLIENT, "aws-sdk-dotnet-coreclr", "macos"),
    Row("S3 Browser/12.2.9 (https://s3browser.com)", "unknown", Facts.DESKTOP_CLIENT, "s3-browser"),
    Row("Cyberduck/8.7.2.40980 (Mac OS X/14.3) (aarch64)", "unknown", Facts.DESKTOP_CLIENT, "cyberduck"),
    Row("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "browser", Facts.BROWSER, "chrome", "windows"),
    Row("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "browser", Facts.BROWSER, "edge", "macos"),
    Row("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "browser", Facts.BROWSER, "firefox", "linux"),
    # The CLI elsewhere
    Row("aws-cli/1.18.69 Python/3.8.5 Linux/5.4.0-66-generic botocore/1.16.19", "cli", Facts.CLI, "aws-cli", "linux"),
    Row("aws-cli/2.11.1 Python/3.9.13 Linux/5.10.109-106.104.amzn2.x86_64 exe/x86_64.aws", "cli", Facts.CLI, "aws-cli", "linux"),
    Row("aws-cli/2.35.19 md/awscrt#0.35.0 ua/2.1 os/linux#6.14.0-37-generic md/arch#x86_64 lang/python#3.14.6 m/Z,E,C,b,n sid/ed05ed9216f1 md/distrib#ubuntu.25 md/prompt#off md/command#s3.ls", "cli", Facts.CLI | COPIED, "aws-cli", "linux", "profile"),
    Row("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#6.8.0 lang/python#3.11.9 exec-env/grimoire_1234 m/g,E,b,Z", "cli", Facts.CLI | COPIED, "aws-cli", "linux", "environment"),
    # SDKs by language, of both eras
    Row("Boto3/1.34.100 Python/3.11.8 Linux/6.1.0 Botocore/1.34.100", "sdk", Facts.SDK, "boto3", "linux"),
    Row("Botocore/1.39.3 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.12.4 m/b,Z,D,N cfg/retry-mode#legacy", "sdk", Facts.SDK, "botocore", "linux"),
    Row("aws-sdk-nodejs/2.1586.0 linux/v20.15.1 promise", "sdk", Facts.SDK, "aws-sdk-nodejs", "linux"),
    Row("aws-sdk-js/3.826.0 ua/2.1 os/linux#5.10.236 lang/js md/nodejs#22.16.0 api/sqs#3.826.0 m/E,n", "sdk", Facts.SDK | COPIED, "aws-sdk-js", "linux", "profile"),
    Row("aws-sdk-java/1.12.81 Linux/4.14.256 OpenJDK_64-Bit_Server_VM/25.312-b07 java/1.8.0_312 vendor/Oracle_Corporation", "sdk", Facts.SDK, "aws-sdk-java", "linux"),
    Row("aws-internal/3 aws-sdk-java/1.12.692 Linux/5.10.213-179.855.amzn2int.x86_64 java/1.8.0_402 vendor/N/A", "sdk", Facts.SDK, "aws-internal", "linux"),
    Row("aws-sdk-java/1.12.400 Mac_OS_X/13.2 OpenJDK_64-Bit_Server_VM/17.0.6 java/17.0.6", "sdk", Facts.SDK | Facts.DESKTOP_CLIENT, "aws-sdk-java", "macos"),
    Row("aws-sdk-dotnet-coreclr/3.7.101.44 aws-sdk-dotnet-core/3.7.103.6 .NET_Core/6.0.11 OS/Microsoft_Windows_10.0.22000 ClientAsync", "sdk", Facts.SDK, "aws-sdk-dotnet-coreclr", "windows"),
    Row("aws-sdk-ruby3/3.190.0 md/internal ua/2.0 api/xray#1.0.0 os/linux md/x86_64 lang/ruby#2.7.8 cfg/retry-mode#legacy", "sdk", Facts.SDK, "aws-sdk-ruby3", "linux"),
    Row("aws-sdk-rust/1.3.8 os/linux lang/rust/1.88.0", "sdk", Facts.SDK, "aws-sdk-rust", "linux"),
    Row("aws-sdk-php/3.209.10 OS/Linux#5.4.0 lang/php#7.4.33", "sdk", Facts.SDK, "aws-sdk-php", "linux"),
    Row("AWSPowerShell/4.1.0.0 .NET_Runtime/4.0 .NET_Framework/4.0 OS/Microsoft_Windows_NT_10.0 WindowsPowerShell/5.1 ClientAsync", "sdk", Facts.SDK, "awspowershell", "windows"),
    Row("Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 m/i,n,D cfg/retry-mode#legacy", "sdk", Facts.SDK | COPIED, "boto3", "linux", "profile"),
    # Platforms
    Row("Boto3/1.34.42 md/Botocore#1.34.42 ua/2.0 os/linux#5.10.215 lang/python#3.12.3 exec-env/AWS_Lambda_python3.12", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT, "boto3", "linux"),
    Row("aws-sdk-java/2.25.31 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.11 exec-env/AWS_ECS_FARGATE io/sync http/Apache", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT, "aws-sdk-java", "linux"),
    Row("awslambda-worker/1.0 rusoto/0.47.0 rust/1.56.1 linux", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT, "rusoto", "linux"),
    Row("aws-sdk-go-v2/1.26.1 os/linux lang/go#1.22.2 md/GOOS#linux api/sqs#1.31.4 m/0,E", "sdk", Facts.SDK | Facts.PLATFORM_CREDENTIALS, "aws-sdk-go-v2", "linux", "instance metadata"),
    Row("Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 m/z,b,D cfg/retry-mode#legacy", "sdk", Facts.SDK | Facts.PLATFORM_CREDENTIALS, "boto3", "linux", "container endpoint"),
    Row("aws-sdk-go/1.44.260 (go1.20.4; linux; amd64) amazon-ssm-agent/", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT, "aws-sdk-go", "linux"),
    Row("amazon-ssm-agent/3.3.1957.0", "unknown", Facts.PLATFORM_CLIENT, "amazon-ssm-agent"),
    Row("Amazon ECS Agent - v1.82.0 (0a5c8e8d) (linux) (+http://aws.amazon.com/ecs/)", "unknown", Facts.PLATFORM_CLIENT, "amazon-ecs-agent", "linux"),
    Row("aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.11.0-1014-azure lang/python#3.12.9 exec-env/GitHubActions m/g,E md/command#sts.get-caller-identity", "cli", Facts.CLI | Facts.PLATFORM_CLIENT | COPIED, "aws-cli", "linux", "environment"),
    # Infrastructure as code
    Row("APN/1.0 HashiCorp/1.0 Terraform/1.8.2 (+https://www.terraform.io) terraform-provider-aws/5.47.0", "iac", Facts.IAC, "terraform"),
    Row("APN/1.0 HashiCorp/1.0 Terraform/1.11.0 (+https://www.terraform.io) terraform-provider-aws/5.98.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.23.8 md/GOOS#linux md/GOARCH#amd64 api/sts#1.33.19 m/g", "iac", Facts.IAC | COPIED, "terraform", "linux", "environment"),
    Row("APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.76.1 aws-sdk-go/1.44.157 (go1.19.3; darwin; arm64)", "iac", Facts.IAC | Facts.DESKTOP_CLIENT, "terraform", "macos"),
    Row("aws-sdk-nodejs/2.1586.0 linux/v20.15.1 aws-cdk/2.135.0 promise", "iac", Facts.IAC, "aws-cdk", "linux"),
    Row("Pulumi/3.0 (https://www.pulumi.com) pulumi-aws/6.66.2 aws-sdk-go-v2/1.32.5 os/linux lang/go#1.22.7", "iac", Facts.IAC, "pulumi", "linux"),
    Row("aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 crossplane-provider-aws/0.48.0", "iac", Facts.IAC, "crossplane-provider-aws", "linux"),
    Row("Boto3/1.34.46 md/Botocore#1.34.46 ua/2.0 os/linux#6.5.0 lang/python#3.11.8 APN/1.0 Ansible/2.15.0 community.aws/7.1.0", "iac", Facts.IAC, "ansible", "linux"),
    Row("aws-sam-cli/1.120.0 Boto3/1.34.131 md/Botocore#1.34.131 ua/2.0 os/linux#6.8.0", "iac", Facts.IAC, "aws-sam-cli", "linux"),
    # AI agents
    Row("awslabs/mcp/aws-api-mcp-server/1.2.0 Boto3/1.40.0", "agent", Facts.AGENT_CLIENT, "awslabs-mcp"),
    Row("Boto3/1.40.11 md/Botocore#1.40.11 ua/2.1 os/linux#6.8.0 m/n,b awslabs/mcp/cloudwatch-mcp-server/0.0.4", "agent", Facts.AGENT_CLIENT | COPIED, "awslabs-mcp", "linux", "profile"),
    Row("aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.8.0 exec-env/AmazonQ-For-CLI-Version-1.10.2 md/command#s3.ls", "agent", Facts.AGENT_CLIENT, "amazonq-for-cli", "linux"),
    # Scanners
    Row("Boto3/1.35.99 md/Botocore#1.35.99 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#standard APN_1826889", "scanner", Facts.SDK | Facts.SCANNER, "prowler", "linux", "", "prowler"),
    Row("Scout Suite/5.12.0 (https://github.com/nccgroup/ScoutSuite)", "scanner", Facts.SCANNER, "scoutsuite", "", "", "scoutsuite"),
    Row("c7n/0.9.40 md/Botocore#1.35.22 ua/2.0 os/linux#5.10.0 lang/python#3.11.2 exec-env/AWS_Lambda_python3.11 c7n/policy#ec2-tag", "scanner", Facts.SCANNER | Facts.PLATFORM_CLIENT, "cloud-custodian", "linux", "", "cloud-custodian"),
    # Tools for trying found keys, systems for breaking in
    Row("TruffleHog", "scanner", Facts.INTRUSION_TOOL, "trufflehog", "", "", "trufflehog"),
    Row("Nuclei - Open-source project (github.com/projectdiscovery/nuclei)", "scanner", Facts.INTRUSION_TOOL, "nuclei", "", "", "nuclei"),
    Row("Pacu/1.6.0 Boto3/1.34.1", "scanner", Facts.SDK | Facts.INTRUSION_TOOL, "pacu", "", "", "pacu"),
    Row("[aws-cli/2.36.17 md/awscrt#0.36.0 ua/2.1 os/linux#6.19.14+kali-amd64 md/arch#x86_64 lang/python#3.14.6 m/Z,g,E md/distrib#kali.2026 md/prompt#off md/command#s3.ls]", "cli", KALI | COPIED, "aws-cli", "kali", "environment", "kali"),
    Row("aws-cli/2.23.6 md/awscrt#1.0.0.dev0 ua/2.0 os/linux#6.12.13-cloud-amd64 md/arch#x86_64 md/installer#source md/distrib#kali.2025 md/command#iam.get-user", "cli", KALI, "aws-cli", "kali", "", "kali"),
    Row("aws-cli/1.22.34 Python/3.9.10 Linux/5.15.0-kali3-amd64 botocore/1.23.34", "cli", KALI, "aws-cli", "kali", "", "kali"),
    Row("Boto3/1.26.32 Python/3.9.2 Linux/6.0.0-12parrot1-amd64 Botocore/1.29.32", "sdk", Facts.SDK | Facts.INTRUSION_TOOL, "boto3", "parrot", "", "parrot"),
    Row("aws-cli/2.9.1 Python/3.10.8 Linux/5.18.5-pentoo exe/x86_64.gentoo.2 prompt/off command/sts.get-caller-identity", "cli", KALI, "aws-cli", "pentoo", "", "pentoo"),
    # Near misses of these
    Row("Boto3/1.34.1 ua/2.0 os/linux#6.8.0 app/acme-kalibration", "sdk", Facts.SDK, "boto3", "linux"),
    Row("acme-pacuare/1.0", "unknown", 0, "acme-pacuare"),
    Row("my-trufflehog-dashboard/2", "unknown", 0, "my-trufflehog-dashboard"),
    Row("Boto3/1.34.1 ua/2.0 os/linux#6.8.0 APN/1.0 Vendor/1.0", "sdk", Facts.SDK, "boto3", "linux"),
    # The rest
    Row("cloudformation.amazonaws.com", "service", 0, "aws"),
    Row("AWS Internal", "service", 0, "aws"),
    Row("python-requests/2.31.0", "unknown", 0, "python-requests"),
    Row("curl/8.5.0", "unknown", 0, "curl"),
    Row("stratus-red-team_5c59eb79", "unknown", 0, "stratus-red-team_"),
    Row("", "unknown"),
    Row("[]", "unknown"),
    Row("///", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.user_agent[:60])
def test_user_agents(row: Row) -> None:
    """Each spelling gives its family, exactly the facts that it is evidence of, and who, on what, with which credentials."""
    client = parse_client(row.user_agent)
    said = (client.family, client.facts, client.name, client.system, client.source, client.tool)
    assert said == row[1:]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("aws-cli/2.15.30 Python/3.11.8 Linux/6.1.0 prompt/off command/s3.ls", "aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#6.8.0 md/command#ec2.describe-instances"),
        ("Boto3/1.34.100 Python/3.11.8 Linux/6.1.0 Botocore/1.34.100", "Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 m/z,b,D"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/114.0.0.0", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/126.0.0.0"),
        ("APN/1.0 HashiCorp/1.0 Terraform/1.8.2 terraform-provider-aws/5.47.0 os/linux", "APN/1.0 HashiCorp/1.0 Terraform/1.11.0 terraform-provider-aws/5.98.0 os/linux"),
        ("stratus-red-team_5c59eb79", "stratus-red-team_1004a4ff"),
    ],
)  # fmt: skip
def test_versions_and_commands_are_one_kind(one: str, other: str) -> None:
    """Updating a client, or calling another command with it, makes no new client of it."""
    assert parse_client(one).kind == parse_client(other).kind


def test_kinds_tell_clients_apart() -> None:
    """Another SDK, another system, a scanner: each is a client of its own."""
    others = [
        "Boto3/1.34.100 Python/3.11.8 Linux/6.1.0", "Boto3/1.34.100 Python/3.11.8 Darwin/23.4.0",
        "Boto3/1.34.100 Python/3.11.8 Linux/6.1.0-kali9", "Boto3/1.34.100 Python/3.11.8 Linux/6.1.0 APN_1826889",
        "aws-sdk-go-v2/1.26.1 os/linux", "aws-cli/2.15.30 Linux/6.1.0", "curl/8.5.0", "TruffleHog", "",
    ]  # fmt: skip
    assert len({parse_client(other).kind for other in others}) == len(others)


def test_a_huge_user_agent_is_looked_at_in_part() -> None:
    """What comes after the first kilobyte decides nothing, and takes no time."""
    client = parse_client("x" * 10_000_000 + " exec-env/CloudShell")
    assert client.family == "unknown"
    assert len(client.kind) < 50
    assert parse_client("a/" * 5_000_000).family == "unknown"
