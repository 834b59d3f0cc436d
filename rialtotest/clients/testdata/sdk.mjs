// Calls PutEvents, every SQS operation and those of SNS that services call, with the JavaScript SDK v3 and looks at the answers.

import assert from "node:assert/strict";
import * as eventbridge from "@aws-sdk/client-eventbridge";
import * as sns from "@aws-sdk/client-sns";
import * as sqs from "@aws-sdk/client-sqs";

const events = new eventbridge.EventBridgeClient({});
const queues = new sqs.SQSClient({});
const url = process.env.AWS_ENDPOINT_URL + "/000000000000/";
const arn = "arn:aws:sqs:us-east-1:000000000000:";

const call = (name, input = {}) => queues.send(new sqs[name + "Command"](input));

// Queues
assert.equal((await call("CreateQueue", { QueueName: "billing", Attributes: { VisibilityTimeout: "600" } })).QueueUrl, url + "billing");
await call("CreateQueue", { QueueName: "dead" });
assert.equal((await call("GetQueueUrl", { QueueName: "billing" })).QueueUrl, url + "billing");
assert.deepEqual((await call("ListQueues")).QueueUrls.sort(), [url + "billing", url + "dead"]);
const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: arn + "dead", maxReceiveCount: 5 });
await call("SetQueueAttributes", { QueueUrl: url + "billing", Attributes: { RedrivePolicy } });
const got = await call("GetQueueAttributes", { QueueUrl: url + "billing", AttributeNames: ["VisibilityTimeout", "QueueArn"] });
assert.deepEqual(got.Attributes, { VisibilityTimeout: "600", QueueArn: arn + "billing" });
assert.deepEqual((await call("ListDeadLetterSourceQueues", { QueueUrl: url + "dead" })).queueUrls, [url + "billing"]);
await call("TagQueue", { QueueUrl: url + "billing", Tags: { stage: "test", team: "money" } });
await call("UntagQueue", { QueueUrl: url + "billing", TagKeys: ["stage"] });
assert.deepEqual((await call("ListQueueTags", { QueueUrl: url + "billing" })).Tags, { team: "money" });
await call("AddPermission", { QueueUrl: url + "billing", Label: "share", AWSAccountIds: ["111122223333"], Actions: ["SendMessage"] });
await call("RemovePermission", { QueueUrl: url + "billing", Label: "share" });
await assert.rejects(call("GetQueueUrl", { QueueName: "none" }), sqs.QueueDoesNotExist);

// Messages; the SDK compares the digests itself.
const QueueUrl = url + "billing";
await call("SendMessage", { QueueUrl, MessageBody: "grüße", MessageAttributes: { Foo: { DataType: "String", StringValue: "Bar" } } });
let [m] = (await call("ReceiveMessage", { QueueUrl, MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"] })).Messages;
assert.equal(m.Body, "grüße");
assert.equal(m.MessageAttributes.Foo.StringValue, "Bar");
assert.equal(m.Attributes.ApproximateReceiveCount, "1");
await call("ChangeMessageVisibility", { QueueUrl, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0 });
[m] = (await call("ReceiveMessage", { QueueUrl })).Messages;
await call("DeleteMessage", { QueueUrl, ReceiptHandle: m.ReceiptHandle });
const sent = await call("SendMessageBatch", { QueueUrl, Entries: [{ Id: "a", MessageBody: "1" }, { Id: "b", MessageBody: "2" }] });
assert.deepEqual(sent.Successful.map((s) => s.Id), ["a", "b"]);
[m] = (await call("ReceiveMessage", { QueueUrl })).Messages;
const change = await call("ChangeMessageVisibilityBatch", { QueueUrl, Entries: [{ Id: "c", ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 60 }] });
assert.deepEqual(change.Successful.map((s) => s.Id), ["c"]);
const gone = await call("DeleteMessageBatch", { QueueUrl, Entries: [{ Id: "d", ReceiptHandle: m.ReceiptHandle }, { Id: "e", ReceiptHandle: "none of ours" }] });
assert.deepEqual([gone.Successful.map((s) => s.Id), gone.Failed.map((f) => f.Code)], [["d"], ["ReceiptHandleIsInvalid"]]);
await call("SendMessageBatch", { QueueUrl: url + "dead", Entries: ["1", "2", "3", "4", "5"].map((n) => ({ Id: n, MessageBody: n })) });
const task = await call("StartMessageMoveTask", { SourceArn: arn + "dead", DestinationArn: arn + "billing", MaxNumberOfMessagesPerSecond: 1 });
const tasks = await call("ListMessageMoveTasks", { SourceArn: arn + "dead" });
assert.deepEqual([tasks.Results[0].Status, tasks.Results[0].ApproximateNumberOfMessagesToMove], ["RUNNING", 5]);
assert.ok((await call("CancelMessageMoveTask", { TaskHandle: task.TaskHandle })).ApproximateNumberOfMessagesMoved < 5);
await call("PurgeQueue", { QueueUrl });

// Events
await events.send(new eventbridge.PutRuleCommand({ Name: "paid", EventPattern: '{"source":["shop"]}' }));
await events.send(new eventbridge.PutTargetsCommand({ Rule: "paid", Targets: [{ Id: "billing", Arn: arn + "billing" }] }));
const put = await events.send(new eventbridge.PutEventsCommand({
  Entries: [
    { Source: "shop", DetailType: "paid", Detail: '{"id":"o-17"}', Time: new Date("2026-03-01T10:00:05.250Z"), Resources: ["r"] },
    { Source: "shop", DetailType: "paid", Detail: "none" },
  ],
}));
assert.deepEqual([put.FailedEntryCount, put.Entries[1].ErrorCode], [1, "MalformedDetail"]);
[m] = (await call("ReceiveMessage", { QueueUrl, WaitTimeSeconds: 10 })).Messages;
const event = JSON.parse(m.Body);
assert.deepEqual([event.id, event.time, event.detail], [put.Entries[0].EventId, "2026-03-01T10:00:05Z", { id: "o-17" }]);

// Topics
const topics = new sns.SNSClient({});
const topic = (name, input = {}) => topics.send(new sns[name + "Command"](input));
const { TopicArn } = await topic("CreateTopic", { Name: "orders", Attributes: { DisplayName: "Orders" } });
assert.equal(TopicArn, "arn:aws:sns:us-east-1:000000000000:orders");
assert.deepEqual((await topic("ListTopics")).Topics, [{ TopicArn }]);
assert.equal((await topic("GetTopicAttributes", { TopicArn })).Attributes.DisplayName, "Orders");
await assert.rejects(topic("GetTopicAttributes", { TopicArn: TopicArn + "-none" }), sns.NotFoundException);
const FilterPolicy = JSON.stringify({ event: ["paid"], total: [{ numeric: [">=", 100] }] });
const subscription = { TopicArn, Protocol: "sqs", Endpoint: arn + "billing", Attributes: { FilterPolicy } };
const { SubscriptionArn } = await topic("Subscribe", subscription);
assert.deepEqual((await topic("ListSubscriptionsByTopic", { TopicArn })).Subscriptions.map((s) => s.SubscriptionArn), [SubscriptionArn]);
assert.equal((await topic("GetSubscriptionAttributes", { SubscriptionArn })).Attributes.FilterPolicy, FilterPolicy);
const attributes = (event, total) => ({ event: { DataType: "String", StringValue: event }, total: { DataType: "Number", StringValue: total } });
await topic("Publish", { TopicArn, Message: "cheap", MessageAttributes: attributes("paid", "99") });
const { MessageId } = await topic("Publish", { TopicArn, Message: "dear", Subject: "Paid", MessageAttributes: attributes("paid", "100") });
[m] = (await call("ReceiveMessage", { QueueUrl, WaitTimeSeconds: 10 })).Messages;
const told = JSON.parse(m.Body);
assert.deepEqual([told.MessageId, told.Message, told.Subject, told.MessageAttributes.total], [MessageId, "dear", "Paid", { Type: "Number", Value: "100" }]);
await call("DeleteMessage", { QueueUrl, ReceiptHandle: m.ReceiptHandle });
await topic("SetSubscriptionAttributes", { SubscriptionArn, AttributeName: "RawMessageDelivery", AttributeValue: "true" });
await topic("SetSubscriptionAttributes", { SubscriptionArn, AttributeName: "FilterPolicy", AttributeValue: "" });
const batch = await topic("PublishBatch", { TopicArn, PublishBatchRequestEntries: [{ Id: "a", Message: "1", MessageAttributes: attributes("sent", "1") }] });
assert.deepEqual(batch.Successful.map((s) => s.Id), ["a"]);
[m] = (await call("ReceiveMessage", { QueueUrl, WaitTimeSeconds: 10, MessageAttributeNames: ["All"] })).Messages;
assert.deepEqual([m.Body, m.MessageAttributes.event.StringValue], ["1", "sent"]);
const badPolicy = { SubscriptionArn, AttributeName: "FilterPolicy", AttributeValue: '{"a":{"b":["c"]}}' };
await assert.rejects(topic("SetSubscriptionAttributes", badPolicy), sns.InvalidParameterException);
await topic("Unsubscribe", { SubscriptionArn });
await topic("DeleteTopic", { TopicArn });

await call("DeleteQueue", { QueueUrl });
await call("DeleteQueue", { QueueUrl: url + "dead" });
console.log("all answers are as they should be");
