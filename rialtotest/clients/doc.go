// Package clients drives a server with the clients that people use: the AWS CLI, boto3, the JavaScript SDK v3 and Terraform, unchanged.
//
// It has nothing but tests, behind the build tag "clients", because they need programs that not every machine has and take a minute
// or two: make clients runs them. A client that is not there is skipped, with the reason. Each test is a script in testdata that
// does what a user would, and a list of the operations that it must have called: a proxy between client and server keeps
// count, and says what an operation was answered that failed. Start with clients_test.go.
package clients
