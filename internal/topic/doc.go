// Package topic keeps SNS topics: who has subscribed to what, and what is published.
//
// What a topic is called, how it is set up and who has subscribed is in the catalog. A topic holds no messages. Publishing decides, and
// then commits: the subscriptions whose filter lets the message through are found first, and the message goes into the log of a shard
// together with the list of them, in one frame, as an event does with the targets of its rules:
//
//	Publish ──► check ──► which subscriptions? ──► deliver.Accept ──► 200        (committed: answered is never lost)
//	                                                     └─► one delivery for each subscription, with its own retries and dead letters
//
// So a topic is a list of targets and nothing more, and subscriptions get all that deliveries can do: windows, circuits, order, retries
// over restarts. What an endpoint receives is written by package targets/subscription when it is sent. Questions to endpoints, whether
// they want to be subscribed, go the same way.
//
// A FIFO topic puts its messages on one shard, knows each again for five minutes, and delivers those of a group one after another to each
// subscription. Its sequence numbers are given as messages go into the log, and are part of their ids: who publishes a message twice
// gets both again.
//
// Start with [Service].
package topic
