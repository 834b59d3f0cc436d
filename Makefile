# The commands of the house; a bare make lists them.

.DEFAULT_GOAL := help
GO ?= go

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## see events flow through rules to a queue and a webhook
	$(GO) run ./cmd/rialto demo

.PHONY: build
build: ## build the binary into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/rialto ./cmd/rialto

.PHONY: test
test: ## vet and run all tests; needs nothing but Go
	$(GO) vet ./...
	$(GO) test ./...

.PHONY: race
race: ## run the tests under the race detector
	$(GO) test -race ./...

.PHONY: sim
sim: ## simulate a million lives of every shard machine
	RIALTO_SIM_SEEDS=1000000 $(GO) test -run Simulation -timeout 0 ./internal/...

.PHONY: crash
crash: ## kill -9 a loaded server 20 times and account for every acknowledged event
	$(GO) run ./bench/crash

.PHONY: fifo
fifo: ## a million messages through a FIFO queue, with consumers that crash and 20 kill -9: order, duplicates, losses
	$(GO) run ./bench/fifo

.PHONY: outage
outage: ## let a destination die under load, park 100,000 events, kill -9 in each phase, and have it come back weak
	$(GO) run ./bench/outage

.PHONY: replays
replays: ## replay a million events in every way, with kill -9 in the middle and a flipped bit
	$(GO) run ./bench/replays

.PHONY: schedules
schedules: ## a million schedules due in one minute: how late, then with 20 kill -9: losses, duplicates
	$(GO) run ./bench/schedules
	$(GO) run ./bench/schedules -kills 20

.PHONY: bench
bench: ## run the benchmarks; figures go to standard output
	$(GO) test -run '^$$' -bench . ./bench/...

.PHONY: bench-queues
bench-queues: ## measure queues beside PostgreSQL, Redis and RabbitMQ, those that are installed
	$(GO) test -run '^$$' -bench Queues -benchtime 8000x -timeout 0 ./bench

.PHONY: bench-waiting
bench-waiting: ## measure ten million messages that wait
	$(GO) test -run '^$$' -bench Waiting -benchtime 10000000x -timeout 0 ./bench

.PHONY: fuzz
fuzz: ## run every fuzz target for a minute
	@for pkg in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
		$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 1m $$pkg || exit 1; done; done

.PHONY: clients
clients: ## drive a server with the AWS CLI, boto3, the JavaScript SDK and Terraform, those that are installed
	$(GO) test -count=1 -v -timeout 1h -tags clients ./rialtotest/clients

.PHONY: generate
generate: ## make the generated code again
	$(GO) generate ./...
