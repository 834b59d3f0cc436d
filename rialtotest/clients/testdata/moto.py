"""Has rialto deliver to services of moto, another emulator of AWS, and looks there for what arrived.

Called with the URLs of moto and of rialto.
"""

import io
import json
import sys
import time
import urllib.request
import zipfile

import boto3

MOTO, RIALTO = sys.argv[1:3]
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/events"


def moto(service):
    return boto3.client(service, endpoint_url=MOTO)


def arn(service, resource):
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


def eventually(what, look):
    """Looks until there is something; moto is slow, and rialto delivers in the background."""
    end = time.monotonic() + 30
    while True:
        found = look()
        if found:
            print("ok", what)
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: nothing has arrived")
        time.sleep(0.2)


# Functions without containers: moto answers for them, and runs nothing.
urllib.request.urlopen(
    urllib.request.Request(
        MOTO + "/moto-api/config",
        data=json.dumps({"lambda": {"use_docker": False}}).encode(),
        headers={"Content-Type": "application/json"},
    )
)

iam, sqs, sns, kinesis, s3 = moto("iam"), moto("sqs"), moto("sns"), moto("kinesis"), moto("s3")
firehose, functions, states, logs = moto("firehose"), moto("lambda"), moto("stepfunctions"), moto("logs")
events, ecs = moto("events"), moto("ecs")

iam.create_role(RoleName="events", AssumeRolePolicyDocument="{}")
queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("plain", "from-topic", "from-bus")}
queues["first.fifo"] = sqs.create_queue(
    QueueName="first.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
)["QueueUrl"]
topic = sns.create_topic(Name="topic")["TopicArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", "from-topic"), Attributes={"RawMessageDelivery": "true"})
kinesis.create_stream(StreamName="stream", ShardCount=1)
s3.create_bucket(Bucket="bucket")
firehose.create_delivery_stream(
    DeliveryStreamName="hose", S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket"}
)
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as archive:
    archive.writestr("f.py", "def handler(event, context):\n    return event\n")
functions.create_function(
    FunctionName="function", Runtime="python3.12", Role=ROLE, Handler="f.handler", Code={"ZipFile": code.getvalue()}
)
machine = states.create_state_machine(
    name="machine", roleArn=ROLE, definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
)["stateMachineArn"]
logs.create_log_group(logGroupName="group")
events.create_event_bus(Name="bus")
events.put_rule(Name="rule", EventBusName="bus", EventPattern='{"source":["shop"]}')
events.put_targets(Rule="rule", EventBusName="bus", Targets=[{"Id": "q", "Arn": arn("sqs", "from-bus")}])
ecs.create_cluster(clusterName="cluster")
task = ecs.register_task_definition(
    family="task", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
    containerDefinitions=[{"name": "c", "image": "i", "cpu": 10, "memory": 128}],
)["taskDefinition"]["taskDefinitionArn"]
ec2 = moto("ec2")
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]  # without which moto breaks down

rialto = boto3.client("events", endpoint_url=RIALTO)
targets = [
    {"Id": "queue", "Arn": arn("sqs", "plain"), "InputPath": "$.detail"},
    {"Id": "fifo", "Arn": arn("sqs", "first.fifo"), "SqsParameters": {"MessageGroupId": "$.detail.id"}},
    {"Id": "topic", "Arn": topic, "InputPath": "$.detail"},
    {"Id": "stream", "Arn": arn("kinesis", "stream/stream"), "RoleArn": ROLE, "KinesisParameters": {"PartitionKeyPath": "$.detail.id"}},
    {"Id": "hose", "Arn": arn("firehose", "deliverystream/hose"), "RoleArn": ROLE},
    {"Id": "function", "Arn": arn("lambda", "function:function")},
    {"Id": "machine", "Arn": machine, "RoleArn": ROLE, "InputPath": "$.detail"},
    {"Id": "log", "Arn": arn("logs", "log-group:group")},
    {"Id": "bus", "Arn": arn("events", "event-bus/bus"), "RoleArn": ROLE},
    {
        "Id": "task", "Arn": arn("ecs", "cluster/cluster"), "RoleArn": ROLE,
        "EcsParameters": {
            "TaskDefinitionArn": task, "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": [subnet], "SecurityGroups": [group]}},
        },
    },
]
for i in range(0, len(targets), 5):  # a rule has five
    rialto.put_rule(Name=f"rule{i}", EventPattern='{"source":["shop"]}')
    failed = rialto.put_targets(Rule=f"rule{i}", Targets=targets[i : i + 5])["FailedEntries"]
    assert not failed, failed
detail = {"id": "o-17", "total": 42}
put = rialto.put_events(Entries=[{"Source": "shop", "DetailType": "paid", "Detail": json.dumps(detail)}])
event_id = put["Entries"][0]["EventId"]


def receive(name):
    messages = sqs.receive_message(QueueUrl=queues[name], AttributeNames=["All"]).get("Messages", [])
    return messages and messages[0]


assert json.loads(eventually("SQS", lambda: receive("plain"))["Body"]) == detail
message = eventually("SQS FIFO", lambda: receive("first.fifo"))
assert message["Attributes"]["MessageGroupId"] == "o-17" and json.loads(message["Body"])["id"] == event_id, message
assert json.loads(eventually("SNS", lambda: receive("from-topic"))["Body"]) == detail

shard = kinesis.get_shard_iterator(StreamName="stream", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
record = eventually("Kinesis", lambda: kinesis.get_records(ShardIterator=shard["ShardIterator"])["Records"])[0]
assert record["PartitionKey"] == '"o-17"' and json.loads(record["Data"])["id"] == event_id, record

written = eventually("Firehose", lambda: s3.list_objects_v2(Bucket="bucket").get("Contents"))[0]
assert json.loads(s3.get_object(Bucket="bucket", Key=written["Key"])["Body"].read())["id"] == event_id

execution = eventually("Step Functions", lambda: states.list_executions(stateMachineArn=machine)["executions"])[0]
described = states.describe_execution(executionArn=execution["executionArn"])
assert execution["name"].startswith(event_id) and json.loads(described["input"]) == detail, described

line = eventually("CloudWatch Logs", lambda: logs.filter_log_events(logGroupName="group")["events"])[0]
assert json.loads(line["message"])["id"] == event_id, line

forwarded = json.loads(eventually("EventBridge", lambda: receive("from-bus"))["Body"])
assert forwarded["source"] == "shop" and forwarded["detail"] == detail, forwarded

tasks = eventually("ECS", lambda: ecs.list_tasks(cluster="cluster")["taskArns"])
assert ecs.describe_tasks(cluster="cluster", tasks=tasks)["tasks"][0]["startedBy"].startswith("events-rule/rule"), tasks


def settled():
    """Lambda keeps nothing, so rialto says how it went."""
    with urllib.request.urlopen(RIALTO + "/_rialto/v1/destinations") as answer:
        found = json.load(answer)["destinations"]
    return [d for d in found if d["arn"] == arn("lambda", "function:function") and d["settled"] == 1 and not d["failed"]]


eventually("Lambda", settled)
