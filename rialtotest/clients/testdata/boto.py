"""Calls every operation with boto3 and looks at the answers. HOOK_URL is an endpoint that takes everything."""

import hashlib
import json
import os
import time
import urllib.request
from datetime import datetime, timezone

import boto3
from botocore.exceptions import ClientError

events = boto3.client("events")
sqs = boto3.client("sqs")
sns = boto3.client("sns")
secrets = boto3.client("secretsmanager")

ARN = "arn:aws:events:us-east-1:000000000000:"
TOPIC = "arn:aws:sns:us-east-1:000000000000:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
URL = os.environ["AWS_ENDPOINT_URL"] + "/000000000000/"


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        equal(e.response["Error"]["Code"], code)
        return e
    raise AssertionError(f"{call.__name__} succeeded, want {code}")


def queues():
    equal(sqs.create_queue(QueueName="billing", Attributes={"VisibilityTimeout": "600"}, tags={"team": "money"})["QueueUrl"], URL + "billing")
    sqs.create_queue(QueueName="dead")
    equal(sqs.get_queue_url(QueueName="billing")["QueueUrl"], URL + "billing")
    equal(sorted(sqs.list_queues()["QueueUrls"]), [URL + "billing", URL + "dead"])
    equal([len(p["QueueUrls"]) for p in sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})], [1, 1])
    redrive = json.dumps({"deadLetterTargetArn": QUEUE + "dead", "maxReceiveCount": "5"})
    sqs.set_queue_attributes(QueueUrl=URL + "billing", Attributes={"RedrivePolicy": redrive})
    got = sqs.get_queue_attributes(QueueUrl=URL + "billing", AttributeNames=["All"])["Attributes"]
    equal((got["VisibilityTimeout"], got["QueueArn"], json.loads(got["RedrivePolicy"])), ("600", QUEUE + "billing", json.loads(redrive)))
    equal(sqs.list_dead_letter_source_queues(QueueUrl=URL + "dead")["queueUrls"], [URL + "billing"])
    sqs.tag_queue(QueueUrl=URL + "billing", Tags={"stage": "test"})
    equal(sqs.list_queue_tags(QueueUrl=URL + "billing")["Tags"], {"stage": "test", "team": "money"})
    sqs.untag_queue(QueueUrl=URL + "billing", TagKeys=["stage", "team"])
    equal("Tags" in sqs.list_queue_tags(QueueUrl=URL + "billing"), False)
    sqs.add_permission(QueueUrl=URL + "billing", Label="share", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    sqs.remove_permission(QueueUrl=URL + "billing", Label="share")
    e = refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="none")
    equal(isinstance(e, sqs.exceptions.QueueDoesNotExist), True)


def messages():
    url = URL + "billing"
    # boto3 compares the digests itself.
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="foobar",
        MessageAttributes={"Foo": {"DataType": "String", "StringValue": "Bar"}, "N": {"DataType": "Number", "StringValue": "17"},
                           "B": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}})
    equal(sent["MD5OfMessageBody"], "3858f62230ac3c915f300c664312c63f")
    got = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"], VisibilityTimeout=0)["Messages"][0]
    equal((got["Body"], got["MessageId"]), ("foobar", sent["MessageId"]))
    equal(got["MessageAttributes"]["B"]["BinaryValue"], b"\x00\xff")
    equal(got["Attributes"]["ApproximateReceiveCount"], "1")
    again = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"][0]
    equal(again["Attributes"], {"ApproximateReceiveCount": "2"})
    equal("Messages" in sqs.receive_message(QueueUrl=url), False)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=0)
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    batch = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "2"}, {"Id": "c", "MessageBody": "\x00"}])
    equal(([s["Id"] for s in batch["Successful"]], [f["Id"] for f in batch["Failed"]]), (["a", "b"], ["c"]))
    handles = []
    while len(handles) < 2:
        handles += [m["ReceiptHandle"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)["Messages"]]
    entries = [{"Id": str(i), "ReceiptHandle": h} for i, h in enumerate(handles)]
    equal(len(sqs.change_message_visibility_batch(QueueUrl=url, Entries=[e | {"VisibilityTimeout": 60} for e in entries])["Successful"]), 2)
    equal(len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]), 2)
    sqs.send_message_batch(QueueUrl=URL + "dead", Entries=[{"Id": str(i), "MessageBody": str(i)} for i in range(5)])
    task = sqs.start_message_move_task(SourceArn=QUEUE + "dead", DestinationArn=QUEUE + "billing", MaxNumberOfMessagesPerSecond=1)
    got = sqs.list_message_move_tasks(SourceArn=QUEUE + "dead")["Results"][0]
    equal((got["Status"], got["ApproximateNumberOfMessagesToMove"], got["TaskHandle"]), ("RUNNING", 5, task["TaskHandle"]))
    equal(sqs.cancel_message_move_task(TaskHandle=task["TaskHandle"])["ApproximateNumberOfMessagesMoved"] < 5, True)
    sqs.purge_queue(QueueUrl=url)
    refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", sqs.delete_message_batch, QueueUrl=url, Entries=[entries[0], entries[0]])
    refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="none of ours")


def fifo():
    url = sqs.create_queue(QueueName="line.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
    first = sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="a")
    again = sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="a")
    equal((again["MessageId"], again["SequenceNumber"]), (first["MessageId"], first["SequenceNumber"]))
    sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "x", "MessageBody": "2", "MessageGroupId": "a"}, {"Id": "y", "MessageBody": "3", "MessageGroupId": "b", "MessageDeduplicationId": "own"}])
    one = sqs.receive_message(QueueUrl=url, AttributeNames=["All"], ReceiveRequestAttemptId="try")["Messages"]
    equal([(m["Body"], m["Attributes"]["MessageGroupId"], m["Attributes"]["SequenceNumber"]) for m in one], [("1", "a", first["SequenceNumber"])])
    same = sqs.receive_message(QueueUrl=url, ReceiveRequestAttemptId="try")["Messages"]
    equal(same[0]["ReceiptHandle"], one[0]["ReceiptHandle"])
    others = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageDeduplicationId"])["Messages"]
    equal([(m["Body"], m["Attributes"]) for m in others], [("3", {"MessageDeduplicationId": "own"})])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=one[0]["ReceiptHandle"])
    equal([m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]], ["2"])
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="4")
    sqs.delete_queue(QueueUrl=url)


def fifo_throughput():
    url = URL + "fast.fifo"
    fast = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId", "DelaySeconds": "900"}
    equal(sqs.create_queue(QueueName="fast.fifo", Attributes=fast)["QueueUrl"], url)
    equal(sqs.create_queue(QueueName="fast.fifo", Attributes=fast)["QueueUrl"], url)
    got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    equal({k: got[k] for k in [*fast, "ContentBasedDeduplication"]}, fast | {"ContentBasedDeduplication": "false"})
    refused("QueueAlreadyExists", sqs.create_queue, QueueName="fast.fifo", Attributes={"FifoQueue": "true", "DeduplicationScope": "queue"})
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"DeduplicationScope": "queue"})
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"FifoQueue": "false"})
    refused("InvalidParameterValue", sqs.create_queue, QueueName="fast", Attributes={"FifoQueue": "true"})
    refused("InvalidParameterValue", sqs.create_queue, QueueName="fast.fifo2")
    refused("InvalidAttributeName", sqs.create_queue, QueueName="fast", Attributes={"DeduplicationScope": "queue"})

    # The same id in two groups is two messages; the order is that of each group, and numbers grow.
    batch = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": f"{group}{n}", "MessageBody": f"{group}{n}", "MessageGroupId": group, "MessageDeduplicationId": str(n)} for n in range(5) for group in "ab"])
    equal([s["Id"] for s in batch["Successful"]], [f"{group}{n}" for n in range(5) for group in "ab"])
    numbers = {s["Id"]: s["SequenceNumber"] for s in batch["Successful"]}
    equal((sorted(numbers.values()), {len(n) for n in numbers.values()}), (list(numbers.values()), {20}))
    again = sqs.send_message(QueueUrl=url, MessageBody="a0", MessageGroupId="a", MessageDeduplicationId="0")
    equal(again["SequenceNumber"], numbers["a0"])
    equal("Messages" in sqs.receive_message(QueueUrl=url), False)  # all wait, as the queue says
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "0"})  # which counts for these, too
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=7, MessageSystemAttributeNames=["All"])["Messages"]
    equal([m["Body"] for m in got], ["a0", "a1", "a2", "a3", "a4", "b0", "b1"])
    equal([m["Attributes"]["SequenceNumber"] for m in got], [numbers[m["Body"]] for m in got])
    equal("Messages" in sqs.receive_message(QueueUrl=url), False)  # both groups are closed
    entries = [{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in got]
    equal(len(sqs.delete_message_batch(QueueUrl=url, Entries=entries[1:])["Successful"]), 6)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"], VisibilityTimeout=0)
    equal([m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]], ["b2", "b3", "b4", "a0"])
    refused("InvalidParameterValue", sqs.delete_message, QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])  # it has expired
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="a", MessageDeduplicationId="x", DelaySeconds=2)
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="a")
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="a b", MessageDeduplicationId="x")
    sqs.delete_queue(QueueUrl=url)


def fifo_redrive():
    work, late = URL + "work.fifo", URL + "late.fifo"
    sqs.create_queue(QueueName="late.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"})
    policy = {"deadLetterTargetArn": QUEUE + "late.fifo", "maxReceiveCount": 1}
    sqs.create_queue(QueueName="work.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0", "RedrivePolicy": json.dumps(policy)})
    standard = json.dumps(policy | {"deadLetterTargetArn": QUEUE + "dead"})
    refused("InvalidParameterValue", sqs.set_queue_attributes, QueueUrl=work, Attributes={"RedrivePolicy": standard})
    allowed = json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE + "work.fifo"]})
    sqs.set_queue_attributes(QueueUrl=late, Attributes={"RedriveAllowPolicy": allowed})
    refused("InvalidParameterValue", sqs.create_queue, QueueName="other.fifo", Attributes={"FifoQueue": "true", "RedrivePolicy": json.dumps(policy)})
    equal(sqs.list_dead_letter_source_queues(QueueUrl=late)["queueUrls"], [work])
    for group, body in ("a", "1"), ("b", "2"), ("a", "3"):
        sqs.send_message(QueueUrl=work, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body)
    equal([m["Body"] for m in sqs.receive_message(QueueUrl=work, MaxNumberOfMessages=10)["Messages"]], ["1", "3", "2"])
    equal("Messages" in sqs.receive_message(QueueUrl=work, MaxNumberOfMessages=10), False)  # one receive too many
    letters = sqs.receive_message(QueueUrl=late, MaxNumberOfMessages=10, WaitTimeSeconds=10, MessageSystemAttributeNames=["All"])["Messages"]
    equal([(m["Body"], m["Attributes"]["MessageGroupId"], m["Attributes"]["MessageDeduplicationId"]) for m in letters], [("1", "a", "1"), ("3", "a", "3"), ("2", "b", "2")])
    equal({(m["Attributes"]["DeadLetterQueueSourceArn"], m["Attributes"]["ApproximateReceiveCount"]) for m in letters}, {(QUEUE + "work.fifo", "2")})
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=QUEUE + "late.fifo", DestinationArn=QUEUE + "dead")
    sqs.start_message_move_task(SourceArn=QUEUE + "late.fifo")
    while (task := sqs.list_message_move_tasks(SourceArn=QUEUE + "late.fifo")["Results"][0])["Status"] == "RUNNING":
        time.sleep(0.05)
    equal((task["Status"], task["ApproximateNumberOfMessagesMoved"]), ("COMPLETED", 3))
    back = sqs.receive_message(QueueUrl=work, MaxNumberOfMessages=10, VisibilityTimeout=60, MessageSystemAttributeNames=["All"])["Messages"]
    equal([(m["Body"], m["Attributes"]["ApproximateReceiveCount"]) for m in back], [("1", "1"), ("3", "1"), ("2", "1")])
    equal("Messages" in sqs.receive_message(QueueUrl=late), False)
    for url in work, late:
        sqs.delete_queue(QueueUrl=url)


def buses():
    equal(events.create_event_bus(Name="orders", Description="first", Tags=[{"Key": "team", "Value": "shop"}])["EventBusArn"], ARN + "event-bus/orders")
    e = refused("ResourceAlreadyExistsException", events.create_event_bus, Name="orders")
    equal(e.response["Error"]["Message"], "Event bus orders already exists.")
    equal(events.update_event_bus(Name="orders", Description="second")["Arn"], ARN + "event-bus/orders")
    got = events.describe_event_bus(Name=ARN + "event-bus/orders")
    equal((got["Name"], got["Description"], type(got["CreationTime"])), ("orders", "second", datetime))
    equal([b["Name"] for b in events.list_event_buses()["EventBuses"]], ["default", "orders"])
    first = events.list_event_buses(Limit=1)
    equal([b["Name"] for b in events.list_event_buses(NextToken=first["NextToken"])["EventBuses"]], ["orders"])
    events.put_permission(EventBusName="orders", Action="events:PutEvents", Principal="111122223333", StatementId="share")
    statement = json.loads(events.describe_event_bus(Name="orders")["Policy"])["Statement"][0]
    equal((statement["Sid"], statement["Principal"]), ("share", {"AWS": "arn:aws:iam::111122223333:root"}))
    events.remove_permission(EventBusName="orders", StatementId="share")
    equal("Policy" in events.describe_event_bus(Name="orders"), False)


def rules():
    pattern = '{"detail-type": ["paid"], "detail": {"total": [{"numeric": [">", 100]}]}}'
    equal(events.put_rule(Name="paid", EventBusName="orders", EventPattern=pattern)["RuleArn"], ARN + "rule/orders/paid")
    events.disable_rule(Name="paid", EventBusName="orders")
    got = events.describe_rule(Name="paid", EventBusName="orders")
    equal((got["State"], got["EventPattern"], got["CreatedBy"]), ("DISABLED", pattern, "000000000000"))
    events.enable_rule(Name="paid", EventBusName="orders")
    equal([(r["Name"], r["State"]) for r in events.list_rules(EventBusName="orders")["Rules"]], [("paid", "ENABLED")])
    target = {
        "Id": "billing", "Arn": QUEUE + "billing", "DeadLetterConfig": {"Arn": QUEUE + "dead"},
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600},
        "InputTransformer": {"InputPathsMap": {"id": "$.detail.id"}, "InputTemplate": '{"paid": <id>}'},
    }
    got = events.put_targets(Rule="paid", EventBusName="orders", Targets=[target])
    equal((got["FailedEntryCount"], got["FailedEntries"]), (0, []))
    equal(events.list_targets_by_rule(Rule="paid", EventBusName="orders")["Targets"], [target])
    equal(events.list_rule_names_by_target(TargetArn=QUEUE + "billing", EventBusName="orders")["RuleNames"], ["paid"])
    rule = ARN + "rule/orders/paid"
    events.tag_resource(ResourceARN=rule, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    events.untag_resource(ResourceARN=rule, TagKeys=["a"])
    equal(events.list_tags_for_resource(ResourceARN=rule)["Tags"], [{"Key": "b", "Value": "2"}])
    e = refused("InvalidEventPatternException", events.put_rule, Name="bad", EventPattern='{"source":[]}')
    equal(e.response["Error"]["Message"].startswith("Event pattern is not valid. Reason: Empty arrays are not allowed"), True)
    refused("ValidationException", events.delete_rule, Name="paid", EventBusName="orders")


def putting():
    whole = {"id": "1", "detail-type": "paid", "source": "shop", "account": "000000000000", "time": "2026-03-01T10:00:00Z", "region": "us-east-1"}
    equal(events.test_event_pattern(EventPattern='{"source":["shop"]}', Event=json.dumps(whole))["Result"], True)
    got = events.put_events(Entries=[
        {"EventBusName": "orders", "Source": "shop", "DetailType": "paid", "Detail": '{"id": "o-17", "total": 250}',
         "Time": datetime(2026, 3, 1, 10, 0, 5, 500000, tzinfo=timezone.utc), "Resources": ["r"]},
        {"EventBusName": "orders", "Source": "shop", "DetailType": "paid", "Detail": "none"}])
    equal((got["FailedEntryCount"], got["Entries"][1]["ErrorCode"], len(got["Entries"][0]["EventId"])), (1, "MalformedDetail", 36))
    message = sqs.receive_message(QueueUrl=URL + "billing", WaitTimeSeconds=10)["Messages"][0]
    equal(message["Body"], '{"paid": "o-17"}')
    sqs.delete_message(QueueUrl=URL + "billing", ReceiptHandle=message["ReceiptHandle"])


def destinations():
    connection = events.create_connection(Name="crm", AuthorizationType="BASIC", AuthParameters={
        "BasicAuthParameters": {"Username": "ada", "Password": "secret"},
        "InvocationHttpParameters": {"HeaderParameters": [{"Key": "X-Secret", "Value": "v", "IsValueSecret": True}, {"Key": "X-Open", "Value": "w"}]}})
    equal(connection["ConnectionState"], "AUTHORIZED")
    got = events.describe_connection(Name="crm")
    equal(got["AuthParameters"]["BasicAuthParameters"], {"Username": "ada"})
    equal(got["AuthParameters"]["InvocationHttpParameters"]["HeaderParameters"],
          [{"Key": "X-Secret", "IsValueSecret": True}, {"Key": "X-Open", "Value": "w", "IsValueSecret": False}])
    secret = got["SecretArn"]
    value = secrets.get_secret_value(SecretId=secret)
    equal(value["SecretString"], '{"username":"ada","password":"secret","invocation_http_parameters":{"header_parameters":['
          '{"key":"X-Secret","value":"v","is_value_secret":true},{"key":"X-Open","value":"w","is_value_secret":false}]}}')
    equal(secrets.describe_secret(SecretId=value["Name"])["VersionIdsToStages"], {value["VersionId"]: ["AWSCURRENT"]})
    equal([s["ARN"] for s in secrets.list_secrets(Filters=[{"Key": "name", "Values": ["events!connection/crm/"]}])["SecretList"]], [secret])
    equal(secrets.list_secret_version_ids(SecretId=secret)["Versions"][0]["VersionId"], value["VersionId"])
    equal("ResourcePolicy" in secrets.get_resource_policy(SecretId=secret), False)
    e = refused("InvalidRequestException", secrets.put_secret_value, SecretId=secret, SecretString="{}")
    equal(e.response["Error"]["Message"], "Operation is not allowed on secret owned by events")
    refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="none")
    events.update_connection(Name="crm", Description="new")
    equal([c["Name"] for c in events.list_connections(NamePrefix="crm")["Connections"]], ["crm"])
    made = events.create_api_destination(
        Name="crm", ConnectionArn=connection["ConnectionArn"], HttpMethod="POST", InvocationEndpoint=os.environ["HOOK_URL"] + "/customers")
    equal(made["ApiDestinationState"], "ACTIVE")
    events.update_api_destination(Name="crm", InvocationRateLimitPerSecond=20)
    got = events.describe_api_destination(Name="crm")
    equal((got["InvocationRateLimitPerSecond"], got["HttpMethod"]), (20, "POST"))
    equal([d["Name"] for d in events.list_api_destinations(NamePrefix="crm")["ApiDestinations"]], ["crm"])
    events.deauthorize_connection(Name="crm")
    equal(events.describe_api_destination(Name="crm")["ApiDestinationState"], "INACTIVE")


def replays():
    bus, march, april = ARN + "event-bus/orders", datetime(2026, 3, 1, tzinfo=timezone.utc), datetime(2026, 4, 1, tzinfo=timezone.utc)
    archive = events.create_archive(ArchiveName="kept", EventSourceArn=bus, EventPattern='{"source": ["till"]}', RetentionDays=7)
    equal((archive["ArchiveArn"], archive["State"]), (ARN + "archive/kept", "ENABLED"))
    equal(events.describe_rule(Name="Events-Archive-kept", EventBusName="orders")["ManagedBy"], "prod.vhs.events.aws.internal")
    entry = {"Source": "till", "DetailType": "closed", "Detail": "{}", "Time": datetime(2026, 3, 5, 10, 1, 2, tzinfo=timezone.utc), "EventBusName": "orders"}
    events.put_events(Entries=[entry, entry])
    equal(events.describe_archive(ArchiveName="kept")["EventCount"], 2)
    equal(events.update_archive(ArchiveName="kept", Description="till", RetentionDays=0)["State"], "ENABLED")
    equal([(a["ArchiveName"], a["EventCount"]) for a in events.list_archives(NamePrefix="ke")["Archives"]], [("kept", 2)])
    again = {"EventSourceArn": archive["ArchiveArn"], "EventStartTime": march, "EventEndTime": april, "Destination": {"Arn": bus}}
    equal(events.start_replay(ReplayName="again", **again)["State"], "STARTING")
    refused("ResourceAlreadyExistsException", events.start_replay, ReplayName="again", **again)
    while (replay := events.describe_replay(ReplayName="again"))["State"] in ("STARTING", "RUNNING"):
        time.sleep(0.05)
    equal((replay["State"], replay["EventLastReplayedTime"]), ("COMPLETED", datetime(2026, 3, 5, 10, 1, tzinfo=timezone.utc)))
    equal([r["ReplayName"] for r in events.list_replays(EventSourceArn=archive["ArchiveArn"])["Replays"]], ["again"])
    e = refused("IllegalStatusException", events.cancel_replay, ReplayName="again")
    equal(e.response["Error"]["Message"], "Replay again is not in a valid state for this operation.")
    slow = json.dumps({"name": "slow", "archive": "kept", "speed": {"perSecond": 0.01}}).encode()  # one that lasts is rialto's own
    urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_rialto/v1/replays", slow).close()
    equal(events.cancel_replay(ReplayName="slow")["State"], "CANCELLING")
    events.delete_archive(ArchiveName="kept")
    refused("ResourceNotFoundException", events.describe_archive, ArchiveName="kept")


def topics():
    topic = sns.create_topic(Name="orders", Attributes={"DisplayName": "Orders"}, Tags=[{"Key": "team", "Value": "shop"}])["TopicArn"]
    equal(topic, TOPIC + "orders")
    equal(sns.create_topic(Name="orders")["TopicArn"], topic)
    e = refused("InvalidParameter", sns.create_topic, Name="or ders")
    equal((isinstance(e, sns.exceptions.InvalidParameterException), e.response["Error"]["Message"]), (True, "Invalid parameter: Topic Name"))
    equal([t["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for t in page["Topics"]], [topic])
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
    got = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    equal((got["DisplayName"], got["SignatureVersion"], got["Owner"], got["SubscriptionsConfirmed"]), ("Orders", "2", "000000000000", "0"))
    e = refused("NotFound", sns.get_topic_attributes, TopicArn=TOPIC + "none")
    equal((isinstance(e, sns.exceptions.NotFoundException), e.response["ResponseMetadata"]["HTTPStatusCode"]), (True, 404))
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "stage", "Value": "test"}])
    equal({t["Key"]: t["Value"] for t in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]}, {"team": "shop", "stage": "test"})
    sns.untag_resource(ResourceArn=topic, TagKeys=["stage"])
    sns.add_permission(TopicArn=topic, Label="share", AWSAccountId=["111122223333"], ActionName=["Publish"])
    sns.remove_permission(TopicArn=topic, Label="share")
    protection = json.dumps({"Name": "p", "Version": "2021-06-01", "Statement": []})
    sns.put_data_protection_policy(ResourceArn=topic, DataProtectionPolicy=protection)
    equal(sns.get_data_protection_policy(ResourceArn=topic)["DataProtectionPolicy"], protection)


def subscriptions():
    topic = TOPIC + "orders"
    for name in "everything", "dear":
        sqs.create_queue(QueueName=name)
    first = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE + "everything")["SubscriptionArn"]
    policy = json.dumps({"total": [{"numeric": [">=", 100]}]})
    second = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE + "dear", Attributes={"FilterPolicy": policy, "RawMessageDelivery": "true"})["SubscriptionArn"]
    equal(sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE + "everything")["SubscriptionArn"], first)
    e = refused("InvalidParameter", sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=QUEUE + "dear", Attributes={"FilterPolicy": "{}", "RawMessageDelivery": "true"})
    equal(e.response["Error"]["Message"], "Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
    equal(sorted(s["SubscriptionArn"] for s in sns.list_subscriptions()["Subscriptions"]), sorted([first, second]))
    equal(len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]), 2)
    got = sns.get_subscription_attributes(SubscriptionArn=second)["Attributes"]
    equal((got["FilterPolicy"], got["FilterPolicyScope"], got["RawMessageDelivery"], got["PendingConfirmation"]), (policy, "MessageAttributes", "true", "false"))

    number = {"total": {"DataType": "Number", "StringValue": "100.0"}}
    sent = sns.publish(TopicArn=topic, Message="grüße", Subject="Paid", MessageAttributes=number)["MessageId"]
    small = {"total": {"DataType": "Number", "StringValue": "99.9"}}
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "a", "Message": "1"}, {"Id": "b", "Message": "2", "MessageAttributes": small}])
    equal([s["Id"] for s in batch["Successful"]], ["a", "b"])
    equal(sorted((m["Message"], m.get("Subject"), m.get("MessageAttributes")) for m in (json.loads(b) for b, _ in received("everything", 3)))[2],
          ("grüße", "Paid", {"total": {"Type": "Number", "Value": "100.0"}}))
    equal([(body, m["MessageAttributes"]["total"]["StringValue"]) for body, m in received("dear", 1)], [("grüße", "100.0")])
    equal(len(sent), 36)

    sns.set_subscription_attributes(SubscriptionArn=second, AttributeName="FilterPolicyScope", AttributeValue="MessageBody")
    sns.set_subscription_attributes(SubscriptionArn=second, AttributeName="FilterPolicy", AttributeValue='{"order": {"total": [100]}}')
    for body in {"order": {"total": 100}}, {"order": {"total": 1}}:
        sns.publish(TopicArn=topic, MessageStructure="json", Message=json.dumps({"default": json.dumps(body), "sqs": json.dumps(body)}))
    received("everything", 2)
    equal([json.loads(body) for body, _ in received("dear", 1)], [{"order": {"total": 100}}])
    e = refused("InvalidParameter", sns.set_subscription_attributes, SubscriptionArn=second, AttributeName="FilterPolicy", AttributeValue='{"a": []}')
    equal(e.response["Error"]["Message"].split("\n")[0], "Invalid parameter: FilterPolicy: Empty arrays are not allowed")

    # A web server is asked, and confirms with what it was sent.
    door = os.environ["DOOR_URL"]
    equal(sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=door + "/orders")["SubscriptionArn"], "pending confirmation")
    equal(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"], "1")
    refused("InvalidParameter", sns.confirm_subscription, TopicArn=topic, Token="0" * 288)
    asked = json.load(urllib.request.urlopen(door))
    equal((asked["Type"], asked["TopicArn"]), ("SubscriptionConfirmation", topic))
    third = sns.confirm_subscription(TopicArn=topic, Token=asked["Token"])["SubscriptionArn"]
    equal(sns.get_subscription_attributes(SubscriptionArn=third)["Attributes"]["PendingConfirmation"], "false")
    sns.publish(TopicArn=topic, Message="to the door")
    told = json.load(urllib.request.urlopen(door))
    equal((told["Type"], told["Message"], told["SignatureVersion"]), ("Notification", "to the door", "2"))

    sns.unsubscribe(SubscriptionArn=first)
    refused("NotFound", sns.get_subscription_attributes, SubscriptionArn=first)
    sns.delete_topic(TopicArn=topic)
    equal(sns.list_subscriptions()["Subscriptions"], [])
    for name in "everything", "dear":
        sqs.delete_queue(QueueUrl=URL + name)


def fifo_topics():
    url, arn = URL + "ledger.fifo", QUEUE + "ledger.fifo"
    sqs.create_queue(QueueName="ledger.fifo", Attributes={"FifoQueue": "true"})
    topic = sns.create_topic(Name="ledger.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sent = [sns.publish(TopicArn=topic, Message=n, MessageGroupId="a", MessageDeduplicationId=n) for n in ("5", "6", "7", "6")]
    equal(sent[3]["MessageId"], sent[1]["MessageId"])
    equal(sorted(s["SequenceNumber"] for s in sent[:3]), [s["SequenceNumber"] for s in sent[:3]])
    equal([body for body, _ in received("ledger.fifo", 3)], ["5", "6", "7"])
    e = refused("InvalidParameter", sns.publish, TopicArn=topic, Message="8", MessageDeduplicationId="8")
    equal(e.response["Error"]["Message"], "Invalid parameter: The MessageGroupId parameter is required for FIFO topics")
    refused("InvalidParameter", sns.publish, TopicArn=topic, Message="8", MessageGroupId="a")
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=url)


def fifo_topic_attributes():
    queue, late = QUEUE + "journal.fifo", QUEUE + "late.fifo"
    sqs.create_queue(QueueName="journal.fifo", Attributes={"FifoQueue": "true", "DeduplicationScope": "messageGroup"})
    sqs.create_queue(QueueName="late.fifo", Attributes={"FifoQueue": "true"})
    wanted = {"FifoTopic": "true", "ContentBasedDeduplication": "true", "FifoThroughputScope": "MessageGroup"}
    topic = sns.create_topic(Name="journal.fifo", Attributes=wanted)["TopicArn"]
    got = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    equal({k: got[k] for k in wanted}, wanted)
    refused("InvalidParameter", sns.create_topic, Name="journal", Attributes={"FifoTopic": "true"})
    refused("InvalidParameter", sns.create_topic, Name="journal", Attributes={"FifoThroughputScope": "Topic"})
    plain = sns.create_topic(Name="journal")["TopicArn"]
    e = refused("InvalidParameter", sns.subscribe, TopicArn=plain, Protocol="sqs", Endpoint=queue)
    equal(e.response["Error"]["Message"], "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
    sns.delete_topic(TopicArn=plain)
    refused("InvalidParameter", sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE + "dead"})})
    letters = json.dumps({"deadLetterTargetArn": late})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RedrivePolicy": letters})["SubscriptionArn"]
    equal(sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["RedrivePolicy"], letters)

    # Known by their content, in their groups.
    batch = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
        {"Id": f"{group}{n}", "Message": str(n), "MessageGroupId": group} for n in range(3) for group in "ab"])["Successful"]
    equal(sorted(s["SequenceNumber"] for s in batch), [s["SequenceNumber"] for s in batch])
    equal(sns.publish(TopicArn=topic, Message="0", MessageGroupId="a")["SequenceNumber"], batch[0]["SequenceNumber"])
    came = {"a": [], "b": []}
    while sum(map(len, came.values())) < 6:
        for m in sqs.receive_message(QueueUrl=URL + "journal.fifo", MaxNumberOfMessages=10, WaitTimeSeconds=10, MessageSystemAttributeNames=["All"])["Messages"]:
            told, system = json.loads(m["Body"]), m["Attributes"]
            equal((system["MessageDeduplicationId"], "Signature" in told), (hashlib.sha256(told["Message"].encode()).hexdigest(), False))
            came[system["MessageGroupId"]].append((told["Message"], told["SequenceNumber"]))
            sqs.delete_message(QueueUrl=URL + "journal.fifo", ReceiptHandle=m["ReceiptHandle"])
    equal([[body for body, _ in came[group]] for group in "ab"], [["0", "1", "2"]] * 2)
    equal(sorted(n for group in came.values() for _, n in group), [s["SequenceNumber"] for s in batch])

    # What cannot be delivered any more is a dead letter, in its group.
    sqs.delete_queue(QueueUrl=URL + "journal.fifo")
    sns.publish(TopicArn=topic, Message="3", MessageGroupId="a")
    letter = sqs.receive_message(QueueUrl=URL + "late.fifo", WaitTimeSeconds=20, MessageSystemAttributeNames=["All"])["Messages"][0]
    equal((json.loads(letter["Body"])["Message"], letter["Attributes"]["MessageGroupId"]), ("3", "a"))
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=URL + "late.fifo")


def received(queue, n):
    """The bodies of n messages, and these."""
    got = []
    while len(got) < n:
        for m in sqs.receive_message(QueueUrl=URL + queue, MaxNumberOfMessages=10, WaitTimeSeconds=10, MessageAttributeNames=["All"]).get("Messages", []):
            sqs.delete_message(QueueUrl=URL + queue, ReceiptHandle=m["ReceiptHandle"])
            got.append((m["Body"], m))
    equal(len(got), n)
    return got


def silence():
    """Text messages and push services are not there, but can be asked about."""
    equal(sns.list_platform_applications()["PlatformApplications"], [])
    equal(sns.list_phone_numbers_opted_out()["phoneNumbers"], [])
    equal(sns.get_sms_attributes()["attributes"], {})
    equal(sns.get_sms_sandbox_account_status()["IsInSandbox"], True)
    equal(sns.list_sms_sandbox_phone_numbers()["PhoneNumbers"], [])
    equal(sns.list_origination_numbers()["PhoneNumbers"], [])


def absent():
    equal(events.list_endpoints()["Endpoints"], [])
    equal(events.list_event_sources()["EventSources"], [])
    equal(events.list_partner_event_sources(NamePrefix="aws.partner/none/")["PartnerEventSources"], [])


def end():
    events.delete_api_destination(Name="crm")
    equal(events.delete_connection(Name="crm")["ConnectionState"], "DELETING")
    equal(events.remove_targets(Rule="paid", EventBusName="orders", Ids=["billing"])["FailedEntryCount"], 0)
    events.delete_rule(Name="paid", EventBusName="orders")
    e = refused("ResourceNotFoundException", events.describe_rule, Name="paid", EventBusName="orders")
    equal(e.response["Error"]["Message"], "Rule paid does not exist on EventBus orders.")
    events.delete_event_bus(Name="orders")
    sqs.delete_queue(QueueUrl=URL + "billing")
    sqs.delete_queue(QueueUrl=URL + "dead")
    equal("QueueUrls" in sqs.list_queues(), False)


failed = False
parts = [
    queues, messages, fifo, fifo_throughput, fifo_redrive, buses, rules, putting, destinations, replays, topics, subscriptions, fifo_topics, fifo_topic_attributes,
    silence, absent, end,
]
for part in parts:
    try:
        part()
    except Exception as e:  # say so, and look at the rest
        where = e.__traceback__
        while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
            where = where.tb_next
        print(f"FAILED {part.__name__}, line {where.tb_lineno}: {type(e).__name__}: {e}")
        failed = True
raise SystemExit(failed)
