// Works through a queue with sqs-consumer, as a service does, and looks at what it was given: by ones and by batches, with failures, dead
// letters, work that takes longer than the visibility timeout, and a stop.

import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import * as sqs from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";
import { Producer } from "sqs-producer";

const client = new sqs.SQSClient({});
const call = (name, input = {}) => client.send(new sqs[name + "Command"](input));
const create = async (QueueName, Attributes) => (await call("CreateQueue", { QueueName, Attributes })).QueueUrl;
const counts = async (QueueUrl) => {
  const names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
  const { Attributes } = await call("GetQueueAttributes", { QueueUrl, AttributeNames: names });
  return names.map((n) => Number(Attributes[n]));
};

const dead = await create("dead");
const deadLetterTargetArn = "arn:aws:sqs:us-east-1:000000000000:dead";
const queueUrl = await create("work", { VisibilityTimeout: "30", RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 }) });
const producer = Producer.create({ queueUrl, sqs: client });

// work runs a consumer until done says that all is there, and waits for its stop.
async function work(options, done) {
  const consumer = Consumer.create({ queueUrl, sqs: client, waitTimeSeconds: 5, ...options });
  const errors = [];
  consumer.on("error", (e) => errors.push(e.message)); // of SQS
  consumer.on("processing_error", () => done.failed?.());
  consumer.on("message_processed", () => done.processed?.());
  consumer.start();
  await done.promise;
  const stopped = once(consumer, "stopped");
  consumer.stop();
  await stopped;
  assert.deepEqual(errors, []);
}

// until returns what work waits for: so many messages processed and so many failures.
function until(processed, failures = 0) {
  let resolve;
  const promise = new Promise((r) => (resolve = r));
  const count = () => processed <= 0 && failures <= 0 && resolve();
  return { promise, processed: () => (processed--, count()), failed: () => (failures--, count()) };
}

// One by one; one message fails until it is a dead letter.
const ids = Array.from({ length: 40 }, (_, i) => `job-${i}`);
await producer.send(ids.map((id) => ({ id, body: JSON.stringify({ id }), messageAttributes: { kind: { DataType: "String", StringValue: id } } })));
assert.equal(await producer.queueSize(), 40);
const seen = [];
await work(
  {
    batchSize: 10,
    terminateVisibilityTimeout: true, // what has failed is visible again at once
    messageAttributeNames: ["All"],
    messageSystemAttributeNames: ["ApproximateReceiveCount"],
    handleMessage: async (message) => {
      const { id } = JSON.parse(message.Body);
      assert.equal(message.MessageAttributes.kind.StringValue, id);
      seen.push(id + "#" + message.Attributes.ApproximateReceiveCount);
      if (id === "job-7") throw new Error("cannot do that");
      return message;
    },
  },
  until(39, 2),
);
assert.deepEqual(seen.sort(), [...ids.map((id) => id + "#1"), "job-7#2"].sort());
let { Messages } = await call("ReceiveMessage", { QueueUrl: queueUrl, WaitTimeSeconds: 1 }); // which moves it
assert.equal(Messages, undefined);
({ Messages } = await call("ReceiveMessage", { QueueUrl: dead, WaitTimeSeconds: 10, MessageSystemAttributeNames: ["All"] }));
assert.deepEqual(JSON.parse(Messages[0].Body), { id: "job-7" });
assert.deepEqual(await counts(queueUrl), [0, 0, 0]);

// By batches, whose heartbeats keep them for as long as they take; a part that is not acknowledged comes again.
await producer.send(ids.slice(0, 10).map((id) => ({ id, body: id })));
const rounds = [];
await work(
  {
    batchSize: 10,
    visibilityTimeout: 2,
    heartbeatInterval: 1,
    handleMessageBatch: async (messages) => {
      rounds.push(messages.map((m) => m.Body));
      if (rounds.length > 1) return messages;
      await pause(3000);
      return messages.slice(0, 4);
    },
  },
  until(10),
);
assert.equal(rounds[0].length, 10);
assert.deepEqual(rounds.slice(1).flat().sort(), rounds[0].slice(4).sort());
assert.deepEqual(await counts(queueUrl), [0, 0, 0]);

// Work that takes longer than the visibility timeout, which heartbeats extend.
await producer.send({ id: "long", body: "long" });
let starts = 0;
await work(
  {
    visibilityTimeout: 2,
    heartbeatInterval: 1,
    handleMessage: async (message) => {
      starts++;
      await pause(4000);
      return message;
    },
  },
  until(1),
);
assert.equal(starts, 1);
assert.deepEqual(await counts(queueUrl), [0, 0, 0]);

// Stopped while it waits in vain: the poll is given up.
await work({ waitTimeSeconds: 20, handleMessage: async (m) => m }, { promise: pause(200) });
console.log("the worker has seen what it should have");
