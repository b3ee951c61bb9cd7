# What each target does is in the README. Tools are pinned in go.mod and run with `go tool`.
SHELL := /bin/bash
GO    ?= go
DATA  ?= data
SEEDS ?= 1000
CHAOS ?= 300
BENCH ?= --duration 15s

.PHONY: run cluster demo test check lint-api bench bench-peers chaos rules build deps fuzz mutants screenshots

## build: the one binary, in bin/
build:
	$(GO) build -o bin/ticketing ./cmd/ticketing

## run: the main job, embedded: a server on http://127.0.0.1:8080
run: build
	TICKETING_OPERATOR_EMAIL=$${TICKETING_OPERATOR_EMAIL:-operator@example.org} \
	TICKETING_OPERATOR_PASSWORD=$${TICKETING_OPERATOR_PASSWORD:-correct-horse-battery} \
	./bin/ticketing serve --dev --data $(DATA)

## cluster: three nodes on this machine, until Ctrl-C; data and keys in data/cluster
cluster: build
	@./examples/cluster/run.sh

## demo: the real comments through the rules, with precision and recall
demo: build
	./bin/ticketing demo examples/data/*.csv

## deps: what the tests need besides Go
deps:
	@./.ci/deps

## check: format, vet, static analysis, known vulnerabilities of tools that need no network
check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags netns ./internal/clustertest
	GOOS=darwin CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/ticketing # laptops
	$(GO) tool staticcheck ./...
	$(GO) -C bench/peers vet ./...
	cd bench/peers && $$($(GO) -C ../.. tool -n staticcheck) ./...

## lint-api: the description of the API against an OpenAPI linter; needs Node.js (the rules that need none run with the tests)
lint-api: build
	./bin/ticketing openapi > bin/openapi.json
	REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --config .ci/redocly.yaml bin/openapi.json

## rules: rebuild the built-in rules; they must come out as they are committed
rules: deps
	./plugins/rules/build.sh --check

## test: everything, one package after another: tests of clusters and kills want the processor for themselves
test: deps check rules build
	$(GO) test -race -p 1 -timeout 20m ./...
	$(GO) test -count=1 -run '^(TestBackupOfCluster|TestDrainKeepsStatistics|TestJoinTakesCopy|TestLateAnswer)$$' ./internal/node ./runtime/system # several nodes in one process, which the race detector cannot watch
	$(GO) test -count=1 -run '^TestFirstRuleAsDocumented$$' ./cmd/ticketing # compiles a rule in Go, as a user does
	$(GO) -C bench/peers test ./... # no benchmarks: that all engines say the same
	$(GO) test -run '^TestChaosShards$$' ./internal/cluster # ten times the seeds that the race detector has time for
	$(GO) test -run '^(TestSpecification|TestTheMeterChangesNothing|TestHostile)$$' ./plugins/meter ./plugins/host # one goroutine, for which the race detector would take ten times as long

## screenshots: pictures of every page, light and dark, narrow and wide, in docs/images, of which git keeps those that the docs show
screenshots: deps build
	$(GO) test -count=1 -run TestEveryPageIsAccessible ./internal/contract -args -images $(CURDIR)/docs/images

## bench: speed, in one run on this machine
bench: build
	$(GO) test -run '^$$' -bench . -benchmem ./runtime/... ./plugins/... ./gateway/... ./actors/...
	./bin/ticketing bench $(BENCH)

## bench-peers: our rule host beside Extism, OPA and plain Go, the same rule in one run, as medians and ratios; ROUNDS=10
bench-peers:
	./bench/peers/bench.sh

## chaos: kills, power losses and plans of placement, SEEDS of them
chaos: deps build
	CHAOS_SEEDS=$(SEEDS) CHAOS_SECONDS=$(CHAOS) CHAOS_ROUNDS=20 $(GO) test -tags netns -timeout 0 -run 'Chaos|Crash|PowerLoss|Kill' -v ./runtime/... ./actors/control/... ./internal/...

## mutants: break every invariant on purpose; a test must turn red each time
mutants:
	$(GO) run ./internal/mutants

## fuzz: every parser of foreign bytes, 30 s each
fuzz:
	@for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s -fuzzminimizetime 100x $$p || exit 1; done; done
