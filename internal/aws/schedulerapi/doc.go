// Package schedulerapi is Amazon EventBridge Scheduler as its clients see it, in AWS's shapes and words.
//
// What a schedule is, when it is due and what it then does is decided by package scheduler; here requests are checked and answered.
// Start with [New].
package schedulerapi

//go:generate go run ../generate -service scheduler
