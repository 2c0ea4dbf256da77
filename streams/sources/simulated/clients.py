"""Which clients people and machines use: user agents of both eras, their versions drawn by the seed."""

from __future__ import annotations

import re
from random import Random
from typing import Final

# <name:low-high> is a number drawn once, <name> the same again; {command} is the CLI's own slot.
_SLOT = re.compile(r"<(\w+)(?::(\d+)-(\d+))?>")

# As the clients of late 2025 and 2026 write them; m/ holds the SDK's feature ids, its source of credentials among them.
_NEW: Final = {
    "boto-ec2": "Boto3/1.<a:36-42>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.1 os/linux#6.1.<c:110-155>-<d:120-180>.amzn2023.x86_64 lang/python#3.11.<e:6-13> m/0,b,Z",
    "go-ec2": "aws-sdk-go-v2/1.<a:32-39>.<b:0-6> ua/2.1 os/linux lang/go#1.<c:22-25>.<d:0-8> md/GOOS#linux md/GOARCH#amd64 m/0,E,e",
    "java-ec2": "aws-sdk-java/2.<a:28-34>.<b:0-40> ua/2.1 os/Linux#6.1.<c:110-155>-<d:120-180>.amzn2023.x86_64 lang/java#21.0.<e:4-8> m/0,D",
    "boto-lambda": "Boto3/1.<a:36-40>.<b:0-30> md/Botocore#1.<a>.<b> ua/2.0 os/linux#5.10.<c:230-242>-<d:225-240>.amzn2.x86_64 lang/python#3.<p:11-13>.<e:2-9> exec-env/AWS_Lambda_python3.<p>",
    "node-lambda": "aws-sdk-js/3.<a:700-860>.0 ua/2.1 os/linux#5.10.<c:230-242> lang/js md/nodejs#<p:20-22>.<b:10-18>.0 exec-env/AWS_Lambda_nodejs<p>.x m/E,e",
    "java-fargate": "aws-sdk-java/2.<a:28-34>.<b:0-40> ua/2.1 os/Linux#5.10.<c:230-242>-<d:225-240>.amzn2.x86_64 lang/java#21.0.<e:4-8> exec-env/AWS_ECS_FARGATE m/D,z",
    "boto-fargate": "Boto3/1.<a:36-42>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.1 os/linux#5.10.<c:230-242> md/arch#x86_64 lang/python#3.12.<e:3-9> exec-env/AWS_ECS_FARGATE m/z,b",
    "boto-pod": "Boto3/1.<a:36-42>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.1 os/linux#6.1.<c:110-155> md/arch#x86_64 lang/python#3.12.<e:3-9> m/k,b",
    "go-pod": "aws-sdk-go-v2/1.<a:32-39>.<b:0-6> ua/2.1 os/linux lang/go#1.<c:22-25>.<d:0-8> md/GOOS#linux md/GOARCH#arm64 m/k,E",
    "boto-codebuild": "Boto3/1.<a:36-42>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.1 os/linux#4.14.<c:290-350> md/arch#x86_64 lang/python#3.12.<e:3-9> exec-env/AWS_ECS_EC2 m/z,b",
    "boto-glue": "Boto3/1.<a:34-40>.<b:0-30> md/Botocore#1.<a>.<b> ua/2.0 os/linux#5.10.<c:230-242> lang/python#3.11.<e:2-9> exec-env/AWS_Glue_job",
    "boto-cron": "Boto3/1.26.<b:60-165> Python/3.8.<c:10-20> Linux/5.4.0-<d:150-205>-generic Botocore/1.29.<b>",
    "php-cron": "aws-sdk-php/3.<a:200-300>.<b:0-20> OS/Linux#5.4.0-<d:150-205>-generic lang/php#7.4.<e:3-33>",
    "vendor": "aws-sdk-go/1.<a:44-55>.<b:1-300> (go1.<c:19-22>.<d:1-9>; linux; amd64)",
    "ssm-agent": "amazon-ssm-agent/3.3.<a:800-2400>.0",
    "terraform": "APN/1.0 HashiCorp/1.0 Terraform/1.<a:9-13>.<b:0-8> (+https://www.terraform.io) terraform-provider-aws/<c:5-6>.<d:10-99>.0 aws-sdk-go-v2/1.<e:32-39>.<f:0-6> ua/2.1 os/linux lang/go#1.<g:22-25>.<h:0-8> md/GOOS#linux md/GOARCH#amd64 m/E,k",
    "cli-runner": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/linux#6.<e:8-11>.0-10<f:10-21>-azure md/arch#x86_64 lang/python#3.12.<g:6-9> md/pyimpl#CPython exec-env/GitHubActions m/b,g,E,Z cfg/retry-mode#standard md/installer#exe md/command#{command}",
    "cli-mac": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/macos#24.<e:1-6>.0 md/arch#arm64 lang/python#3.13.<f:1-7> md/pyimpl#CPython m/b,s,E,Z cfg/retry-mode#standard md/installer#source md/prompt#off md/command#{command}",
    "cli-windows": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/windows#11 md/arch#amd64 lang/python#3.12.<f:6-9> md/pyimpl#CPython m/b,s,E,Z cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#{command}",
    "cli-wsl": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/linux#5.15.<e:133-167>.1-microsoft-standard-WSL2 md/arch#x86_64 lang/python#3.12.<f:6-9> md/pyimpl#CPython m/b,r,E,Z cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#{command}",
    "cli-mac-profile": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/macos#24.<e:1-6>.0 md/arch#arm64 lang/python#3.13.<f:1-7> md/pyimpl#CPython m/b,n,E,Z cfg/retry-mode#standard md/installer#source md/prompt#off md/command#{command}",
    "cli-linux-env": "aws-cli/2.<a:20-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/linux#6.<e:8-12>.<f:0-30>-amd64 md/arch#x86_64 lang/python#3.13.<g:1-7> md/pyimpl#CPython m/b,g,E,Z cfg/retry-mode#standard md/installer#exe md/command#{command}",
    "boto-linux-env": "Boto3/1.<a:36-42>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.1 os/linux#6.<c:8-12>.<d:0-30>-amd64 md/arch#x86_64 lang/python#3.13.<e:1-7> md/pyimpl#CPython m/b,g,Z",
    "cloudshell": "aws-cli/2.<a:24-31>.<b:0-30> md/awscrt#0.2<c:3-7>.<d:0-8> ua/2.1 os/linux#6.1.<e:110-155>-<f:120-180>.amzn2023.x86_64 md/arch#x86_64 lang/python#3.13.<g:1-7> md/pyimpl#CPython exec-env/CloudShell m/b,z,E,Z cfg/retry-mode#standard md/command#{command}",
    "chrome": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:128-146>.0.0.0 Safari/537.36",
    "chrome-windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:128-146>.0.0.0 Safari/537.36",
    "edge": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:128-146>.0.0.0 Safari/537.36 Edg/<a>.0.0.0",
    "firefox": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:<a:128-147>.0) Gecko/20100101 Firefox/<a>.0",
    "safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.<a:1-6> Safari/605.1.15",
    "s3-console": "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.<a:700-790> Linux/5.10.<b:230-242>-225.<c:800-999>.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.442-b06 java/1.8.0_442 vendor/Oracle_Corporation cfg/retry-mode/standard]",
    "switch": "AWS Signin, aws-internal/3 aws-sdk-java/1.12.<a:700-790> Linux/5.10.<b:230-242>-225.<c:800-999>.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.442-b06 java/1.8.0_442 vendor/Amazon.com_Inc.",
    "requests": "python-requests/2.3<a:1-2>.<b:0-5>",
    "scanner": "TruffleHog",
    "pacu": "Boto3/1.<a:26-34>.<b:0-40> md/Botocore#1.<a>.<b> ua/2.0 os/linux#6.<c:5-11>.0-kali<d:2-5>-amd64 md/arch#x86_64 lang/python#3.11.<e:2-9> md/pyimpl#CPython cfg/retry-mode#legacy",
    "mcp": "awslabs/mcp/ccapi-mcp-server/1.0.<a:1-20> Boto3/1.<b:38-42>.<c:0-40> md/Botocore#1.<b>.<c> ua/2.1 os/macos#24.<d:1-6>.0 lang/python#3.13.<e:1-7> m/b,s",
}  # fmt: skip

# As those of 2020 and 2021 wrote them; what is not here has not changed its ways.
_OLD: Final = {
    "boto-ec2": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.7.<c:6-10> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 Botocore/1.2<f:0-2>.<b>",
    "go-ec2": "aws-sdk-go/1.<a:36-42>.<b:1-53> (go1.<c:15-17>.<d:1-9>; linux; amd64)",
    "java-ec2": "aws-sdk-java/1.11.<a:900-1030> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/25.302-b08 java/1.8.0_302 vendor/Red_Hat,_Inc.",
    "boto-lambda": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.<p:7-9>.<c:1-9> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 exec-env/AWS_Lambda_python3.<p> Botocore/1.2<f:0-2>.<b>",
    "node-lambda": "aws-sdk-nodejs/2.<a:900-1040>.0 linux/v14.17.<b:0-6> exec-env/AWS_Lambda_nodejs14.x promise",
    "java-fargate": "aws-sdk-java/2.1<a:5-7>.<b:0-90> Linux/4.14.<c:220-250>-<d:160-190>.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/11.0.<e:10-13> Java/11.0.<e> vendor/Amazon.com_Inc. exec-env/AWS_ECS_FARGATE io/sync http/Apache",
    "boto-fargate": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.8.<c:6-10> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 exec-env/AWS_ECS_FARGATE Botocore/1.2<f:0-2>.<b>",
    "boto-pod": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.8.<c:6-10> Linux/5.4.<d:100-149>-<e:50-80>.amzn2.x86_64 Botocore/1.2<f:0-2>.<b>",
    "go-pod": "aws-sdk-go/1.<a:36-42>.<b:1-53> (go1.<c:15-17>.<d:1-9>; linux; amd64)",
    "boto-codebuild": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.8.<c:6-10> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 exec-env/AWS_ECS_EC2 Botocore/1.2<f:0-2>.<b>",
    "boto-glue": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.7.<c:6-10> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 Botocore/1.2<f:0-2>.<b>",
    "boto-cron": "Boto3/1.9.<b:60-240> Python/2.7.<c:12-17> Linux/3.10.0-<d:800-999>.el7.x86_64 Botocore/1.12.<b>",
    "ssm-agent": "aws-sdk-go/1.<a:36-42>.<b:1-53> (go1.15.12; linux; amd64) amazon-ssm-agent/",
    "terraform": "APN/1.0 HashiCorp/1.0 Terraform/0.1<a:2-5>.<b:0-30> (+https://www.terraform.io) terraform-provider-aws/3.<c:20-70>.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.<d:36-42>.<e:1-53> (go1.16; linux; amd64)",
    "cli-runner": "aws-cli/2.<a:1-4>.<b:0-30> Python/3.8.<c:6-10> Linux/5.<d:4-11>.0-10<e:20-99>-azure exe/x86_64.ubuntu.20 prompt/off command/{command}",
    "cli-mac": "aws-cli/2.<a:1-4>.<b:0-30> Python/3.8.<c:6-10> Darwin/20.<d:1-6>.0 exe/x86_64 prompt/off command/{command}",
    "cli-windows": "aws-cli/2.<a:1-4>.<b:0-30> Python/3.8.<c:6-10> Windows/10 exe/AMD64 prompt/off command/{command}",
    "cli-wsl": "aws-cli/2.<a:1-4>.<b:0-30> Python/3.8.<c:6-10> Linux/5.<d:4-10>.<e:16-102>.1-microsoft-standard-WSL2 exe/x86_64.ubuntu.20 prompt/off command/{command}",
    "cli-mac-profile": "aws-cli/1.<a:18-22>.<b:0-99> Python/3.8.<c:6-10> Darwin/20.<d:1-6>.0 botocore/1.<e:19-23>.<b>",
    "cli-linux-env": "aws-cli/1.<a:18-22>.<b:0-99> Python/3.9.<c:1-10> Linux/5.10.0-kali<d:3-9>-amd64 botocore/1.<e:19-23>.<b>",
    "boto-linux-env": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.9.<c:1-9> Linux/5.<d:4-14>.0-<e:40-90>-generic Botocore/1.2<f:0-2>.<b>",
    "cloudshell": "aws-cli/2.<a:1-4>.<b:0-30> Python/3.8.<c:6-10> Linux/4.14.<d:220-250>-<e:160-190>.amzn2.x86_64 exec-env/CloudShell exe/x86_64.amzn.2 prompt/off command/{command}",
    "chrome": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:86-96>.0.<b:4200-4700>.<c:40-130> Safari/537.36",
    "chrome-windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:86-96>.0.<b:4200-4700>.<c:40-130> Safari/537.36",
    "edge": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/<a:86-96>.0.<b:4200-4700>.<c:40-130> Safari/537.36 Edg/<a>.0.<d:700-1000>.<c>",
    "firefox": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:<a:80-94>.0) Gecko/20100101 Firefox/<a>.0",
    "safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.<a:0-1>.<b:1-3> Safari/605.1.15",
    "s3-console": "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.<a:900-1030> Linux/4.9.<b:217-273>-0.1.ac.<c:205-226>.84.332.metal1.x86_64 OpenJDK_64-Bit_Server_VM/25.302-b08 java/1.8.0_302 vendor/Oracle_Corporation]",
    "pacu": "Boto3/1.1<a:6-9>.<b:10-60> Python/3.8.<c:6-10> Linux/5.10.0-kali<d:3-9>-amd64 Botocore/1.2<f:0-2>.<b>",
}  # fmt: skip

BROWSERS: Final = ("chrome", "chrome-windows", "edge", "firefox", "safari")
TERMINALS: Final = ("cli-mac", "cli-windows", "cli-wsl")


class Client:
    """One client of somebody's, in the version that the seed gives it: how it writes itself in each era."""

    __slots__ = ("new", "old")

    def __init__(self, kind: str, rng: Random) -> None:
        self.new = _filled(_NEW[kind], rng)
        self.old = _filled(_OLD.get(kind, _NEW[kind]), rng)


def fixed_client(text: str) -> Client:
    """Make a client that writes the same in both eras: a service's name, or what somebody made up."""
    client = Client.__new__(Client)
    client.new = client.old = text
    return client


def _filled(pattern: str, rng: Random) -> str:
    drawn: dict[str, str] = {}

    def number(slot: re.Match[str]) -> str:
        name, low, high = slot.groups()
        if low is not None:
            drawn[name] = str(rng.randint(int(low), int(high)))
        return drawn[name]

    return _SLOT.sub(number, pattern)
