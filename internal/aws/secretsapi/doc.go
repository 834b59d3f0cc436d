// Package secretsapi is the front of AWS Secrets Manager: as much of the API "secretsmanager", version 2017-10-17, as the secrets
// of connections need.
//
// EventBridge keeps what a connection authorises calls with in a secret that it owns, and shows the secret's ARN. Here the secret is
// the sealed part of the connection itself: it can be found, listed and read, it changes with UpdateConnection alone, and it is gone when
// the connection is deauthorised or deleted. There are no other secrets.
//
// types_gen.go is generated from the service's public model; package eventsapi tells how to read it. How an operation is written
// stands in service.go of package aws. Start with [New].
package secretsapi

//go:generate go run ../generate -service secretsmanager
