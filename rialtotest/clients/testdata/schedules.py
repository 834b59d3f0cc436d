"""Calls every operation of EventBridge Scheduler with boto3, and sees schedules fire."""

import json
import os
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

scheduler = boto3.client("scheduler")
sqs = boto3.client("sqs")

QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
ARN = "arn:aws:scheduler:us-east-1:000000000000:"
ROLE = "arn:aws:iam::000000000000:role/scheduler"
URL = os.environ["AWS_ENDPOINT_URL"] + "/000000000000/"
OFF = {"Mode": "OFF"}


def equal(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        equal(e.response["Error"]["Code"], code)
        return e.response.get("Message") or e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} succeeded, want {code}")


def groups():
    arn = scheduler.create_schedule_group(Name="g1", ClientToken="t1", Tags=[{"Key": "team", "Value": "shop"}])["ScheduleGroupArn"]
    equal(arn, ARN + "schedule-group/g1")
    equal(scheduler.create_schedule_group(Name="g1", ClientToken="t1", Tags=[{"Key": "team", "Value": "shop"}])["ScheduleGroupArn"], arn)
    refused("ConflictException", scheduler.create_schedule_group, Name="g1")
    equal(scheduler.get_schedule_group(Name="g1")["State"], "ACTIVE")
    equal(sorted(g["Name"] for p in scheduler.get_paginator("list_schedule_groups").paginate(PaginationConfig={"PageSize": 1}) for g in p["ScheduleGroups"]), ["default", "g1"])
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    equal(sorted(t["Key"] for t in scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"]), ["stage", "team"])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["stage"])
    equal([t["Key"] for t in scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"]], ["team"])
    equal(refused("ValidationException", scheduler.delete_schedule_group, Name="default"), "This operation cannot be performed on schedule group default.")


def schedules():
    target = {"Arn": QUEUE + "work", "RoleArn": ROLE, "Input": "hello"}
    arn = scheduler.create_schedule(Name="s1", GroupName="g1", Description="d", ScheduleExpression="cron(0 9 ? * MON-FRI *)", FlexibleTimeWindow=OFF, Target=target)["ScheduleArn"]
    equal(arn, ARN + "schedule/g1/s1")
    got = scheduler.get_schedule(Name="s1", GroupName="g1")
    equal((got["State"], got["ScheduleExpressionTimezone"], got["ActionAfterCompletion"], got["Description"]), ("ENABLED", "UTC", "NONE", "d"))
    equal(got["Target"]["RetryPolicy"], {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185})
    scheduler.update_schedule(Name="s1", GroupName="g1", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}, Target=target)
    got = scheduler.get_schedule(Name="s1", GroupName="g1")
    equal(("Description" in got, got["FlexibleTimeWindow"]), (False, {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}))
    scheduler.create_schedule(Name="s1", ScheduleExpression="rate(1 day)", State="DISABLED", FlexibleTimeWindow=OFF, Target=target)
    equal([(s["GroupName"], s["Name"]) for p in scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 1}) for s in p["Schedules"]],
          [("default", "s1"), ("g1", "s1")])
    equal([s["GroupName"] for s in scheduler.list_schedules(NamePrefix="s", State="DISABLED")["Schedules"]], ["default"])
    equal(refused("ResourceNotFoundException", scheduler.get_schedule, Name="none"), "Schedule none does not exist.")
    equal(refused("ConflictException", scheduler.create_schedule, Name="s1", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF, Target=target), "Schedule s1 already exists.")
    equal(refused("ValidationException", scheduler.create_schedule, Name="bad", ScheduleExpression="rate(10 seconds)", FlexibleTimeWindow=OFF, Target=target),
          "Invalid Schedule Expression rate(10 seconds).")
    scheduler.delete_schedule(Name="s1")
    refused("ResourceNotFoundException", scheduler.get_schedule, Name="s1")


def firing():
    """A schedule that calls an operation, one with a target, and one that misses its target."""
    due = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=3)
    at = due.strftime("at(%Y-%m-%dT%H:%M:%S)")
    call = json.dumps({"QueueUrl": URL + "work", "MessageBody": "t=<aws.scheduler.scheduled-time> n=<aws.scheduler.attempt-number>"})
    for name, arn, text in (("call", "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", call), ("plain", QUEUE + "work", "no JSON")):
        scheduler.create_schedule(Name=name, ScheduleExpression=at, FlexibleTimeWindow=OFF, ActionAfterCompletion="DELETE", Target={"Arn": arn, "RoleArn": ROLE, "Input": text})
    missing = {"Arn": QUEUE + "none", "RoleArn": ROLE, "Input": "lost", "RetryPolicy": {"MaximumRetryAttempts": 0}, "DeadLetterConfig": {"Arn": QUEUE + "dead"}}
    scheduler.create_schedule(Name="misses", ScheduleExpression=at, FlexibleTimeWindow=OFF, Target=missing)
    equal(sorted(m["Body"] for m in received("work", 2)), ["no JSON", due.strftime("t=%Y-%m-%dT%H:%M:%SZ n=1")])
    letter = received("dead", 1)[0]
    said = {k: v["StringValue"] for k, v in letter["MessageAttributes"].items()}
    equal(letter["Body"], "lost")
    equal({k: said[k] for k in ("ERROR_CODE", "SCHEDULE_ARN", "TARGET_ARN", "IS_PAYLOAD_TRUNCATED", "SCHEDULED_TIME")}, {
        "ERROR_CODE": "AWS.SimpleQueueService.NonExistentQueue", "SCHEDULE_ARN": ARN + "schedule/default/misses",
        "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "IS_PAYLOAD_TRUNCATED": "false", "SCHEDULED_TIME": due.strftime("%Y-%m-%dT%H:%M:%SZ")})
    for name in "call", "plain":
        gone(scheduler.get_schedule, Name=name)


def received(queue, n):
    got, give_up = [], time.time() + 60
    while len(got) < n and time.time() < give_up:
        for m in sqs.receive_message(QueueUrl=URL + queue, MaxNumberOfMessages=10, WaitTimeSeconds=5, MessageAttributeNames=["All"]).get("Messages", []):
            sqs.delete_message(QueueUrl=URL + queue, ReceiptHandle=m["ReceiptHandle"])
            got.append(m)
    equal(len(got), n)
    return got


def gone(call, **arguments):
    give_up = time.time() + 20
    while time.time() < give_up:
        try:
            call(**arguments)
        except scheduler.exceptions.ResourceNotFoundException:
            return
        time.sleep(0.2)
    raise AssertionError(f"{arguments} is still there")


def end():
    scheduler.delete_schedule_group(Name="g1")
    gone(scheduler.get_schedule_group, Name="g1")
    gone(scheduler.get_schedule, Name="s1", GroupName="g1")


for name in "work", "dead":
    sqs.create_queue(QueueName=name)
failed = False
for part in groups, schedules, firing, end:
    try:
        part()
    except Exception as e:  # say so, and look at the rest
        where = e.__traceback__
        while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
            where = where.tb_next
        print(f"FAILED {part.__name__}, line {where.tb_lineno}: {type(e).__name__}: {e}")
        failed = True
raise SystemExit(failed)
