"""The parser of user agents, held to a table of real spellings."""

from __future__ import annotations

import pytest

from models.client import parse_client
from models.facts import Facts

NOTHING = 0
TABLE = [
    # The console and its clients
    ("console.amazonaws.com", "console", Facts.CONSOLE_CLIENT),
    ("console.ec2.amazonaws.com", "console", Facts.CONSOLE_CLIENT),
    ("eu-west-1.console.aws.amazon.com", "console", Facts.CONSOLE_CLIENT),
    ("signin.amazonaws.com", "console", Facts.CONSOLE_CLIENT),
    ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10.192 OpenJDK_64-Bit_Server_VM/25.372-b08]", "console", Facts.CONSOLE_CLIENT),
    ("S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4.238", "console", Facts.CONSOLE_CLIENT),
    ("[AWS Console S3, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4.156]", "console", Facts.CONSOLE_CLIENT),
    ("EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.12.582 Linux/5.10.199", "console", Facts.CONSOLE_CLIENT),
    ("AWS-Console-Mobile-App/3.0", "console", Facts.CONSOLE_CLIENT),
    ("aws-cli/2.15.1 Python/3.11.6 Linux/6.1.66 exec-env/CloudShell exe/x86_64.amzn.2023 prompt/off command/s3.ls", "cloudshell", Facts.CLOUDSHELL),
    ("AWS Signin, aws-internal/3 aws-sdk-java/1.12.700 Linux/5.10", "console", Facts.CONSOLE_CLIENT),
    ("aws-cli/2.31.1 md/awscrt#0.27.6 ua/2.1 os/linux#6.1.147 exec-env/CloudShell m/z,b,E cfg/retry-mode#standard", "cloudshell", Facts.CLOUDSHELL),
    # Near misses of the console
    ("console.amazonaws.com.evil.example", "unknown", NOTHING),
    ("acme-console/1.0 Boto3/1.34.0 Botocore/1.34.0", "sdk", Facts.SDK),
    ("aws-sdk-go/1.44.0 (go1.21; linux; amd64) console.amazonaws.com", "sdk", Facts.SDK),
    ("consoleme/1.2", "unknown", NOTHING),
    # People's desks
    ("aws-cli/2.15.30 Python/3.11.8 Darwin/23.4.0 source/arm64 prompt/off command/sts.get-caller-identity", "cli", Facts.CLI | Facts.DESKTOP_CLIENT),
    ("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/macos#14.5 md/arch#arm64 lang/python#3.11.9", "cli", Facts.CLI | Facts.DESKTOP_CLIENT),
    ("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#5.15.153.1-microsoft-standard-WSL2 md/arch#x86_64", "cli", Facts.CLI | Facts.DESKTOP_CLIENT),
    ("aws-cli/2.15.30 Python/3.11.8 Windows/10 exe/AMD64 prompt/off", "cli", Facts.CLI | Facts.DESKTOP_CLIENT),
    ("aws-cli/2.31.1 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 lang/python#3.13.7 m/r,s,E,Z,b cfg/retry-mode#standard", "cli", Facts.CLI | Facts.SSO_CREDENTIALS),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "browser", Facts.BROWSER),
    # Platforms
    ("Boto3/1.34.42 md/Botocore#1.34.42 ua/2.0 os/linux#5.10.215 lang/python#3.12.3 exec-env/AWS_Lambda_python3.12", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT),
    ("aws-sdk-java/2.25.31 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.11 exec-env/AWS_ECS_FARGATE io/sync http/Apache", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT),
    ("awslambda-worker/1.0 rusoto/0.47.0 rust/1.56.1 linux", "sdk", Facts.SDK | Facts.PLATFORM_CLIENT),
    ("aws-sdk-go-v2/1.26.1 os/linux lang/go#1.22.2 md/GOOS#linux api/sqs#1.31.4 m/0,E", "sdk", Facts.SDK | Facts.PLATFORM_CREDENTIALS),
    ("Boto3/1.40.1 md/Botocore#1.40.1 ua/2.1 os/linux#6.1 m/z,b,D cfg/retry-mode#legacy", "sdk", Facts.SDK | Facts.PLATFORM_CREDENTIALS),
    # Neither
    ("aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#6.8.0 lang/python#3.11.9 exec-env/grimoire_1234 m/g,E,b,Z", "cli", Facts.CLI),
    ("Boto3/1.34.100 Python/3.11.8 Linux/6.1.0 Botocore/1.34.100", "sdk", Facts.SDK),
    ("APN/1.0 HashiCorp/1.0 Terraform/1.8.2 (+https://www.terraform.io) terraform-provider-aws/5.47.0", "iac", Facts.IAC),
    ("awslabs/mcp/aws-api-mcp-server/1.2.0 Boto3/1.40.0", "agent", Facts.AGENT_CLIENT),
    ("cloudformation.amazonaws.com", "service", NOTHING),
    ("AWS Internal", "service", NOTHING),
    ("stratus-red-team_5c59eb79", "unknown", NOTHING),
    ("", "unknown", NOTHING),
]  # fmt: skip


@pytest.mark.parametrize(("user_agent", "family", "facts"), TABLE)
def test_user_agents(user_agent: str, family: str, facts: int) -> None:
    """Each spelling gives its family and exactly the facts that it is evidence of."""
    client = parse_client(user_agent)
    assert (client.family, client.facts) == (family, facts)


def test_a_huge_user_agent_is_looked_at_in_part() -> None:
    """What comes after the first kilobyte decides nothing, and takes no time."""
    assert parse_client("x" * 10_000_000 + " exec-env/CloudShell").family == "unknown"
