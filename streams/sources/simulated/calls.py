"""What machines, services and people ask of AWS: the calls that made-up trails are filled with.

Slots of their own, beside those of every record (`shapes.template`): name (what the caller's things are called),
number (0 to 999), hex (17 digits).
"""

from __future__ import annotations

import json
from typing import Any, Final

from streams.sources.simulated.shapes import Call, Json, unique_id

_BUCKET: Final = "example-<name>-<account>"
_KEY: Final = "arn:aws:kms:<region>:<account>:key/0example-0000-4000-8000-<account>"
_FUNCTION: Final = "arn:aws:lambda:<region>:<account>:function:<name>"


def change(source: str, name: str, request: Json | None = None, response: Json | None = None, **more: Any) -> Call:  # noqa: ANN401 - any field of Call
    """Make a call that changes something."""
    return Call(source, name, request, response, reads=False, **more)


def _bucket_read(name: str, part: str) -> Call:
    host = f"{_BUCKET}.s3.<region>.amazonaws.com"
    return Call(
        "s3",
        name,
        {"bucketName": _BUCKET, "Host": host, part: ""},
        additional={
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0,
            "AuthenticationMethod": "AuthHeader",
            "bytesTransferredOut": 433,
        },
        resources=({"accountId": "<account>", "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{_BUCKET}"},),
    )


def bucket_object(name: str, method: str = "AuthHeader", *, reads: bool = True) -> Call:
    """Make a data event on an object of a bucket; `method` tells a presigned URL (QueryString)."""
    key = "incoming/<name>/<number>/<hex>.json.gz"
    return Call(
        "s3",
        name,
        {"bucketName": _BUCKET, "Host": f"{_BUCKET}.s3.<region>.amazonaws.com", "key": key},
        reads=reads,
        additional={
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0,
            "AuthenticationMethod": method,
            "bytesTransferredOut": 20480,
        },
        resources=(
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{_BUCKET}/{key}"},
            {"accountId": "<account>", "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{_BUCKET}"},
        ),
        is_data=True,
    )


_DECRYPT: Final = Call(
    "kms",
    "Decrypt",
    {"encryptionContext": {"SecretARN": "arn:aws:secretsmanager:<region>:<account>:secret:<name>/db-AbCdEf"}},
    resources=({"accountId": "<account>", "type": "AWS::KMS::Key", "ARN": _KEY},),
)
_DATA_KEY: Final = Call(
    "kms",
    "GenerateDataKey",
    {"keyId": _KEY, "encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::{_BUCKET}"}, "keySpec": "AES_256"},
    resources=({"accountId": "<account>", "type": "AWS::KMS::Key", "ARN": _KEY},),
)
_SECRET: Final = Call("secretsmanager", "GetSecretValue", {"secretId": "<name>/db"})
_PARAMETERS: Final = Call(
    "ssm", "GetParametersByPath", {"path": "/<name>/production/", "recursive": True, "withDecryption": True}
)
_LOG_STREAM: Final = change(
    "logs", "CreateLogStream", {"logGroupName": "/aws/<name>", "logStreamName": "2026/03/<number>[$LATEST]<hex>"}
)
_CALLER: Final = Call("sts", "GetCallerIdentity")

INSTANCE: Final = (
    change(
        "ssm",
        "UpdateInstanceInformation",
        {
            "instanceId": "<session>",
            "agentVersion": "3.3.1802.0",
            "agentStatus": "Active",
            "platformType": "Linux",
            "platformName": "Amazon Linux",
            "platformVersion": "2023",
            "iPAddress": "10.0.12.34",
            "computerName": "ip-10-0-12-34.<region>.compute.internal",
            "agentName": "amazon-ssm-agent",
            "availabilityZone": "<region>a",
            "sSMConnectionChannel": "ssmmessages",
        },
    ),
    _PARAMETERS,
    _SECRET,
    _DECRYPT,
    _DATA_KEY,
    Call("ec2", "DescribeTags", {"filterSet": {"items": [{"name": "resource-id", "valueSet": {"items": [{"value": "i-0<hex>"}]}}]}}),
    Call("ec2", "DescribeInstances", {"instancesSet": {"items": [{"instanceId": "i-0<hex>"}]}, "filterSet": {}}),
    Call("ec2", "DescribeVolumes", {"volumeSet": {"items": [{"volumeId": "vol-0<hex>"}]}, "filterSet": {}}),
    Call("autoscaling", "DescribeAutoScalingInstances", {"instanceIds": ["i-0<hex>"], "maxRecords": 50}),
    Call("elasticloadbalancing", "DescribeTargetHealth", {"targetGroupArn": "arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/0example"}),
    Call("sqs", "GetQueueAttributes", {"queueUrl": "https://sqs.<region>.amazonaws.com/<account>/<name>", "attributeNames": ["ApproximateNumberOfMessages"]}),
    Call("rds", "DescribeDBInstances", {"dBInstanceIdentifier": "<name>-<number>"}),
    Call("cloudwatch", "DescribeAlarms", {"alarmNamePrefix": "<name>", "maxRecords": 100}),
    _CALLER,
    _bucket_read("GetBucketLocation", "location"),
    bucket_object("GetObject"),
    bucket_object("PutObject", reads=False),
)  # fmt: skip

FUNCTION: Final = (
    _LOG_STREAM,
    _SECRET,
    _DECRYPT,
    Call("ssm", "GetParameter", {"name": "/<name>/config/<number>", "withDecryption": True}),
    Call("dynamodb", "DescribeTable", {"tableName": "<name>-<number>"}),
    Call("dynamodb", "Query", {"tableName": "<name>", "keyConditionExpression": "pk = :pk", "limit": 100}, is_data=True),
    Call("dynamodb", "ListTables", {"limit": 100}),
    Call("lambda", "GetFunctionConfiguration20150331v2", {"functionName": _FUNCTION}),
    change("sqs", "SendMessageBatch", {"queueUrl": "https://sqs.<region>.amazonaws.com/<account>/<name>"}),
    change("sns", "Publish", {"topicArn": "arn:aws:sns:<region>:<account>:<name>", "message": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
    change("states", "StartExecution", {"stateMachineArn": "arn:aws:states:<region>:<account>:stateMachine:<name>", "name": "run-<hex>"}, {"executionArn": "arn:aws:states:<region>:<account>:execution:<name>:run-<hex>", "startDate": "<time>"}),
    change("events", "PutRule", {"name": "<name>-<number>", "scheduleExpression": "rate(5 minutes)", "state": "ENABLED"}, {"ruleArn": "arn:aws:events:<region>:<account>:rule/<name>-<number>"}),
    change("glue", "StartJobRun", {"jobName": "<name>", "arguments": {"--day": "<number>"}}, {"jobRunId": "jr_<hex>"}),
    Call("glue", "GetTable", {"databaseName": "<name>", "name": "events_<number>"}),
    change("athena", "StartQueryExecution", {"queryString": "HIDDEN_DUE_TO_SECURITY_REASONS", "workGroup": "<name>"}, {"queryExecutionId": "<request_id>"}),
    Call("athena", "GetQueryResults", {"queryExecutionId": "<request_id>", "maxResults": 1000}),
    bucket_object("GetObject"),
    _CALLER,
)  # fmt: skip

TASK: Final = (
    _SECRET,
    _DECRYPT,
    _PARAMETERS,
    _LOG_STREAM,
    Call("ecr", "GetAuthorizationToken"),
    Call("ecr", "BatchGetImage", {"registryId": "<account>", "repositoryName": "<name>", "imageIds": [{"imageTag": "v<number>"}]}),
    Call("sqs", "GetQueueUrl", {"queueName": "<name>"}, {"queueUrl": "https://sqs.<region>.amazonaws.com/<account>/<name>"}),
    Call("kinesis", "DescribeStreamSummary", {"streamName": "<name>"}),
    Call("kinesis", "ListShards", {"streamName": "<name>", "maxResults": 100}),
    Call("elasticache", "DescribeCacheClusters", {"cacheClusterId": "<name>-<number>", "showCacheNodeInfo": True}),
    Call("servicediscovery", "DiscoverInstances", {"namespaceName": "internal", "serviceName": "<name>"}),
    Call("ecs", "DescribeTasks", {"cluster": "<name>", "tasks": ["arn:aws:ecs:<region>:<account>:task/<name>/<hex>"]}),
    Call("ses", "GetSendQuota"),
    Call("firehose", "DescribeDeliveryStream", {"deliveryStreamName": "<name>"}),
    change("cloudwatch", "PutMetricAlarm", {"alarmName": "<name>-<number>", "metricName": "Latency", "namespace": "<name>", "period": 60, "threshold": 2.5, "evaluationPeriods": 3}),
    bucket_object("PutObject", reads=False),
    _CALLER,
)  # fmt: skip

BUILD: Final = (
    _LOG_STREAM,
    Call("ecr", "GetAuthorizationToken"),
    Call("ecr", "BatchCheckLayerAvailability", {"repositoryName": "<name>", "layerDigests": ["sha256:<hex><hex>"]}),
    change("ecr", "PutImage", {"repositoryName": "<name>", "imageTag": "v<number>"}, {"image": {"registryId": "<account>", "repositoryName": "<name>", "imageId": {"imageTag": "v<number>", "imageDigest": "sha256:<hex><hex>"}}}),
    Call("ssm", "GetParameters", {"names": ["/<name>/build/token"], "withDecryption": True}),
    change("codebuild", "BatchPutTestCases", {"reportArn": "arn:aws:codebuild:<region>:<account>:report/<name>:<hex>"}),
    bucket_object("GetObject"),
    bucket_object("PutObject", reads=False),
)  # fmt: skip

JOB: Final = (
    _LOG_STREAM,
    Call("glue", "GetTable", {"databaseName": "<name>", "name": "events_<number>"}),
    Call("glue", "GetPartitions", {"databaseName": "<name>", "tableName": "events_<number>", "expression": "day = '<number>'"}),
    change("glue", "BatchCreatePartition", {"databaseName": "<name>", "tableName": "events_<number>"}),
    Call("glue", "GetJobBookmark", {"jobName": "<name>"}),
    _DATA_KEY,
    bucket_object("GetObject"),
    bucket_object("PutObject", reads=False),
)  # fmt: skip

MONITORING: Final = (
    Call("cloudwatch", "ListMetrics", {"namespace": "AWS/EC2"}),
    Call("cloudwatch", "GetMetricData", {"maxDatapoints": 100800, "startTime": "<time>", "endTime": "<time>"}),
    Call("tagging", "GetResources", {"resourcesPerPage": 100}),
    Call("ec2", "DescribeInstances", {"maxResults": 1000, "instancesSet": {}, "filterSet": {}}),
    Call("rds", "DescribeDBInstances", {"maxRecords": 100}),
    Call("elasticloadbalancing", "DescribeLoadBalancers", {"pageSize": 100}),
    Call("lambda", "ListFunctions20150331", {"maxItems": 50}),
    Call("health", "DescribeEvents", {"filter": {"eventStatusCodes": ["open"]}}),
)  # fmt: skip


def _behalf(call: Call, service: str) -> Call:
    return call._replace(via=service)


# What an AWS service asks for on behalf of whoever made the call of that name.
ON_BEHALF: Final = {
    "GetSecretValue": _behalf(_DECRYPT, "secretsmanager.amazonaws.com"),
    "GetParameter": _behalf(_DECRYPT, "ssm.amazonaws.com"),
    "GetParametersByPath": _behalf(_DECRYPT, "ssm.amazonaws.com"),
    "PutObject": _behalf(_DATA_KEY, "AWS Internal"),
    "StartQueryExecution": _behalf(Call("glue", "GetTable", {"databaseName": "<name>", "name": "events_<number>"}), "athena.amazonaws.com"),
    "CreateLogStream": _behalf(_DATA_KEY, "logs.amazonaws.com"),
}  # fmt: skip

# By a service's own identity: (invokedBy, call).
SERVICE: Final = (
    ("cloudtrail.amazonaws.com", _bucket_read("GetBucketAcl", "acl")),
    ("cloudtrail.amazonaws.com", _DATA_KEY),
    ("config.amazonaws.com", _bucket_read("GetBucketAcl", "acl")),
    ("delivery.logs.amazonaws.com", _bucket_read("GetBucketLocation", "location")),
    ("elasticfilesystem.amazonaws.com", change("kms", "CreateGrant", {"keyId": _KEY, "granteePrincipal": "elasticfilesystem.<region>.amazonaws.com", "operations": ["Decrypt", "GenerateDataKeyWithoutPlaintext"]})),
    ("events.amazonaws.com", change("lambda", "Invoke", {"functionName": _FUNCTION, "invocationType": "Event"}, is_data=True)),
    ("dynamodb.application-autoscaling.amazonaws.com", Call("cloudwatch", "DescribeAlarms", {"alarmNames": ["TargetTracking-table/<name>"]})),
)  # fmt: skip

# By a service in its service-linked role: (service, role, session name, call).
SERVICE_LINKED: Final = (
    ("config.amazonaws.com", "AWSServiceRoleForConfig", "EC2DescribeHandlerSession", Call("ec2", "DescribeSecurityGroups", {"maxResults": 1000, "securityGroupSet": {}, "filterSet": {}})),
    ("config.amazonaws.com", "AWSServiceRoleForConfig", "EC2DescribeHandlerSession", Call("ec2", "DescribeSubnets", {"subnetSet": {}, "filterSet": {}})),
    ("config.amazonaws.com", "AWSServiceRoleForConfig", "LambdaDescribeHandlerSession", Call("lambda", "ListFunctions20150331", {"maxItems": 50})),
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScaling", Call("ec2", "DescribeInstanceStatus", {"instancesSet": {"items": [{"instanceId": "i-0<hex>"}]}, "filterSet": {}, "includeAllInstances": True})),
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScaling", change("ec2", "TerminateInstances", {"instancesSet": {"items": [{"instanceId": "i-0<hex>"}]}}, {"instancesSet": {"items": [{"instanceId": "i-0<hex>", "currentState": {"code": 32, "name": "shutting-down"}, "previousState": {"code": 16, "name": "running"}}]}})),
    ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScaling", change("elasticloadbalancing", "RegisterTargets", {"targetGroupArn": "arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/0example", "targets": [{"id": "i-0<hex>"}]})),
    ("ecs.amazonaws.com", "AWSServiceRoleForECS", "ecs-service-scheduler", change("ec2", "CreateNetworkInterface", {"subnetId": "subnet-0<hex>", "description": "arn:aws:ecs:<region>:<account>:attachment/<hex>", "groupSet": {"items": [{"groupId": "sg-0<hex>"}]}, "privateIpAddressesSet": {}}, {"networkInterface": {"networkInterfaceId": "eni-0<hex>", "subnetId": "subnet-0<hex>", "status": "pending", "privateIpAddress": "10.0.12.34"}})),
    ("ecs.amazonaws.com", "AWSServiceRoleForECS", "ecs-service-scheduler", Call("servicediscovery", "GetInstancesHealthStatus", {"serviceId": "srv-<hex>"})),
    ("access-analyzer.amazonaws.com", "AWSServiceRoleForAccessAnalyzer", "AccessAnalyzer", Call("iam", "GetRole", {"roleName": "<name>"})),
    ("trustedadvisor.amazonaws.com", "AWSServiceRoleForTrustedAdvisor", "TrustedAdvisor", Call("ec2", "DescribeVolumes", {"volumeSet": {}, "filterSet": {}})),
    ("securityhub.amazonaws.com", "AWSServiceRoleForSecurityHub", "securityhub", Call("config", "DescribeConfigRules")),
)  # fmt: skip

ON_ROOTS_BEHALF: Final = Call("ec2", "DescribeInstanceStatus", {"instancesSet": {"items": [{"instanceId": "i-0<hex>"}]}, "filterSet": {}, "includeAllInstances": True})  # fmt: skip

CONSOLE: Final = (
    Call("ec2", "DescribeInstances", {"maxResults": 50, "instancesSet": {}, "filterSet": {}}),
    Call("ec2", "DescribeRegions", {"regionSet": {}, "allRegions": True}),
    Call("ec2", "DescribeSecurityGroups", {"securityGroupSet": {}, "filterSet": {}}),
    Call("ec2", "DescribeVpcs", {"vpcSet": {}, "filterSet": {}}),
    Call("ec2", "GetConsoleOutput", {"instanceId": "i-0<hex>"}),
    Call("s3", "ListBuckets", {"Host": "s3.<region>.amazonaws.com"}),
    _bucket_read("GetBucketPolicy", "policy"),
    _bucket_read("GetBucketVersioning", "versioning"),
    Call("cloudwatch", "DescribeAlarms", {"maxRecords": 100, "stateValue": "ALARM"}),
    Call("cloudwatch", "ListDashboards"),
    Call("logs", "DescribeLogGroups", {"limit": 50, "logGroupNamePrefix": "/aws/<name>"}),
    change("logs", "StartQuery", {"logGroupNames": ["/aws/<name>"], "queryString": "fields @timestamp, @message | sort @timestamp desc", "startTime": 1772441000, "endTime": 1772444600, "limit": 1000}, {"queryId": "<request_id>"}),
    Call("lambda", "ListFunctions20150331", {"maxItems": 50}),
    Call("lambda", "GetFunction20150331v2", {"functionName": "<name>"}),
    Call("iam", "ListRoles", {"maxItems": 1000}),
    Call("iam", "GetAccountSummary"),
    Call("cloudtrail", "LookupEvents", {"maxResults": 50, "lookupAttributes": [{"attributeKey": "ReadOnly", "attributeValue": "false"}]}),
    Call("rds", "DescribeDBClusters", {"maxRecords": 100}),
    Call("health", "DescribeEventAggregates", {"filter": {"eventStatusCodes": ["open", "upcoming"]}, "aggregateField": "eventTypeCategory"}),
    Call("ce", "GetCostAndUsage", {"granularity": "DAILY", "metrics": ["UnblendedCost"], "timePeriod": {"start": "2026-03-01", "end": "2026-03-02"}}),
    Call("tagging", "GetResources", {"resourcesPerPage": 100}),
    Call("states", "ListExecutions", {"stateMachineArn": "arn:aws:states:<region>:<account>:stateMachine:<name>", "maxResults": 100}),
    change("cloudwatch", "PutDashboard", {"dashboardName": "<name>-<number>"}),
)  # fmt: skip

TERMINAL: Final = (
    _CALLER,
    Call("ec2", "DescribeInstances", {"instancesSet": {}, "filterSet": {"items": [{"name": "tag:Name", "valueSet": {"items": [{"value": "<name>*"}]}}]}}),
    Call("s3", "ListBuckets", {"Host": "s3.<region>.amazonaws.com"}),
    Call("logs", "FilterLogEvents", {"logGroupName": "/aws/<name>", "filterPattern": "ERROR", "limit": 10000}),
    Call("ecs", "ListTasks", {"cluster": "<name>", "serviceName": "<name>"}),
    Call("ecs", "DescribeServices", {"cluster": "<name>", "services": ["<name>"]}),
    change("ecs", "UpdateService", {"cluster": "<name>", "service": "<name>", "desiredCount": 2, "forceNewDeployment": True}, {"service": {"serviceName": "<name>", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "launchType": "FARGATE"}}),
    Call("ssm", "GetParameter", {"name": "/<name>/config/<number>", "withDecryption": True}),
    change("ssm", "StartSession", {"target": "i-0<hex>"}, {"sessionId": "<name>-<hex>", "tokenValue": "HIDDEN_DUE_TO_SECURITY_REASONS", "streamUrl": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
    Call("eks", "DescribeCluster", {"name": "<name>"}),
    Call("ecr", "DescribeImages", {"repositoryName": "<name>", "maxResults": 100}),
    Call("cloudformation", "DescribeStacks", {"stackName": "<name>"}),
    Call("iam", "GetRole", {"roleName": "<name>"}),
)  # fmt: skip

SCRIPT: Final = (
    Call("ec2", "DescribeVolumes", {"volumeSet": {}, "filterSet": {"items": [{"name": "tag:backup", "valueSet": {"items": [{"value": "daily"}]}}]}}),
    change("ec2", "CreateSnapshot", {"volumeId": "vol-0<hex>", "description": "daily <name>"}, {"snapshotId": "snap-0<hex>", "volumeId": "vol-0<hex>", "status": "pending", "volumeSize": 200, "encrypted": True}),
    Call("ec2", "DescribeSnapshots", {"ownersSet": {"items": [{"owner": "self"}]}, "snapshotSet": {}, "filterSet": {}}),
    change("ec2", "DeleteSnapshot", {"snapshotId": "snap-0<hex>"}),
    Call("s3", "ListBuckets", {"Host": "s3.<region>.amazonaws.com"}),
    _bucket_read("GetBucketLocation", "location"),
    bucket_object("PutObject", reads=False),
)  # fmt: skip

DEPLOY: Final = (
    _CALLER,
    Call("ec2", "DescribeVpcs", {"vpcSet": {}, "filterSet": {"items": [{"name": "tag:Name", "valueSet": {"items": [{"value": "main"}]}}]}}),
    Call("ec2", "DescribeAvailabilityZones", {"availabilityZoneSet": {}}),
    Call("iam", "GetRole", {"roleName": "<name>"}),
    Call("iam", "ListRolePolicies", {"roleName": "<name>"}),
    Call("iam", "ListAttachedRolePolicies", {"roleName": "<name>"}),
    Call("lambda", "GetFunction20150331v2", {"functionName": "<name>"}),
    change("lambda", "UpdateFunctionCode20150331v2", {"functionName": "<name>", "s3Bucket": "example-artifacts-<account>", "s3Key": "<name>/<hex>.zip", "publish": True, "dryRun": False}, {"functionName": "<name>", "functionArn": _FUNCTION, "runtime": "python3.12", "handler": "app.handler", "codeSize": 4194304, "timeout": 30, "memorySize": 512, "version": "<number>"}),
    change("ecs", "RegisterTaskDefinition", {"family": "<name>", "networkMode": "awsvpc", "cpu": "512", "memory": "1024", "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [{"name": "<name>", "image": "<account>.dkr.ecr.<region>.amazonaws.com/<name>:v<number>", "essential": True}]}, {"taskDefinition": {"taskDefinitionArn": "arn:aws:ecs:<region>:<account>:task-definition/<name>:<number>", "family": "<name>", "revision": 7, "status": "ACTIVE"}}),
    change("ecs", "UpdateService", {"cluster": "<name>", "service": "<name>", "taskDefinition": "<name>:<number>"}, {"service": {"serviceName": "<name>", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "launchType": "FARGATE"}}),
    change("iam", "TagRole", {"roleName": "<name>", "tags": [{"key": "release", "value": "v<number>"}]}),
)  # fmt: skip

# A stack's update: what CloudFormation then does on the caller's behalf.
STACK: Final = (
    Call("cloudformation", "DescribeStacks", {"stackName": "<name>"}),
    change("cloudformation", "UpdateStack", {"stackName": "<name>", "capabilities": ["CAPABILITY_IAM"], "templateURL": "https://example-artifacts-<account>.s3.<region>.amazonaws.com/<name>/<hex>.json"}, {"stackId": "arn:aws:cloudformation:<region>:<account>:stack/<name>/<request_id>"}),
    _behalf(change("lambda", "UpdateFunctionConfiguration20150331v2", {"functionName": "<name>", "timeout": 30, "memorySize": 512}, {"functionName": "<name>", "functionArn": _FUNCTION, "runtime": "python3.12"}), "cloudformation.amazonaws.com"),
    _behalf(Call("iam", "GetRole", {"roleName": "<name>"}), "cloudformation.amazonaws.com"),
    _behalf(change("iam", "TagRole", {"roleName": "<name>", "tags": [{"key": "stack", "value": "<name>-<number>"}]}), "cloudformation.amazonaws.com"),
)  # fmt: skip


def document(*statements: Json) -> str:
    """Write a policy document as requests hold it: a string of JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))


def pipeline_writes(name: str, role: str, policy: str, service: str) -> tuple[Call, ...]:
    """Make what Terraform writes for one new role: narrow, all of it, and consistent.

    In order: role, inline policy, managed policy, attachment; then a new version, the old one's end, tags; then removal.
    """
    trust = document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})
    own = document(
        {
            "Sid": "OwnObjects",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::example-{name}-<account>/{role}/*",
        }
    )
    queue = {
        "Sid": "OwnQueue",
        "Effect": "Allow",
        "Action": ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"],
        "Resource": f"arn:aws:sqs:<region>:<account>:{role}",
    }
    table = {
        "Sid": "OwnTable",
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
        "Resource": f"arn:aws:dynamodb:<region>:<account>:table/{role}",
    }
    arn = f"arn:aws:iam::<account>:policy/{policy}"
    made_role = {"path": "/", "roleName": role, "roleId": unique_id("AROA", role), "arn": f"arn:aws:iam::<account>:role/{role}", "createDate": "<time>", "assumeRolePolicyDocument": trust}  # fmt: skip
    made_policy = {"policyName": policy, "policyId": unique_id("ANPA", policy), "arn": arn, "path": "/", "defaultVersionId": "v1", "attachmentCount": 0, "permissionsBoundaryUsageCount": 0, "isAttachable": True, "createDate": "<time>", "updateDate": "<time>"}  # fmt: skip
    return (
        change("iam", "CreateRole", {"roleName": role, "path": "/", "assumeRolePolicyDocument": trust, "description": "made by Terraform", "maxSessionDuration": 3600}, {"role": made_role}),
        change("iam", "PutRolePolicy", {"roleName": role, "policyName": "own-objects", "policyDocument": own}),
        change("iam", "CreatePolicy", {"policyName": policy, "path": "/", "policyDocument": document(queue)}, {"policy": made_policy}),
        change("iam", "AttachRolePolicy", {"roleName": role, "policyArn": arn}),
        change("iam", "CreatePolicyVersion", {"policyArn": arn, "policyDocument": document(queue, table), "setAsDefault": True}, {"policyVersion": {"versionId": "v2", "isDefaultVersion": True, "createDate": "<time>"}}),
        change("iam", "DeletePolicyVersion", {"policyArn": arn, "versionId": "v1"}),
        change("iam", "TagRole", {"roleName": role, "tags": [{"key": "release", "value": "v<number>"}]}),
        change("iam", "DetachRolePolicy", {"roleName": role, "policyArn": arn}),
        change("iam", "DeletePolicy", {"policyArn": arn}),
        change("iam", "DeleteRolePolicy", {"roleName": role, "policyName": "own-objects"}),
        change("iam", "DeleteRole", {"roleName": role}),
    )  # fmt: skip
