# What a developer and CI call. `make` alone lists it.

GO            ?= go
GOLANGCI_LINT := 2.15.0
FUZZTIME      ?= 15s
PLATFORMS     := linux darwin windows
TIMES         ?= 5
KILLS         ?= 200
SCHEDULES     ?= 2000000
# Two modules: the library at the root, and the binary with what only it needs. go.work joins them. The library is tested without
# it, so that the lowest versions it asks for are those it is tested with.
EVERYTHING    := ./... ./cmd/...
# SQLite is C that was translated to Go. The race detector makes it fourteen times slower, and finds nothing of ours in it.
RACE          := -race -gcflags=modernc.org/sqlite/lib=-race=false

# The tests of most packages wait for servers and clocks, so that more packages than there are processors go on at once; those that
# take longest come first. Those of archtest only read source, for which the race detector takes half a minute more.
ATONCE        := -p 4 -shuffle=on -timeout 15m

.DEFAULT_GOAL := help
.PHONY: help bench test servers vet lint golangci-lint vet-platforms format-check tidy-check build mutants simulate faults matrix proofs crash fuzz openapi cover clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test: servers vet ## install what is missing, vet, run every test with the race detector
	GOWORK=off $(GO) test -race $(ATONCE) ./discovery ./redisevents $$(GOWORK=off $(GO) list ./... | grep -v /archtest)
	GOWORK=off $(GO) test ./internal/test/archtest
	$(GO) test $(RACE) $(ATONCE) ./cmd/tenantwatch ./cmd/internal/store ./cmd/...
	@GO='$(GO)' scripts/simulate 40000

servers: ## install the servers and the compiler that the tests need, where apt-get can
	@scripts/install-servers

vet: ## go vet for this machine
	GOWORK=off $(GO) vet ./...
	$(GO) vet ./cmd/...

lint: format-check tidy-check golangci-lint vet-platforms ## gofmt, go.mod, golangci-lint, go vet for linux, darwin, windows

golangci-lint: ## only golangci-lint, in its pinned version
	@GO='$(GO)' scripts/golangci-lint $(GOLANGCI_LINT) run $(EVERYTHING)

vet-platforms: ## build and vet for linux, darwin and windows
	@set -e; for os in $(PLATFORMS); do \
		echo "GOOS=$$os $(GO) build and vet $(EVERYTHING)"; \
		GOOS=$$os CGO_ENABLED=0 $(GO) build -buildvcs=false $(EVERYTHING); \
		GOOS=$$os CGO_ENABLED=0 $(GO) vet $(EVERYTHING); \
	done

format-check: ## fail when a file is not as gofmt writes it
	@out=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) || exit 1; if [ -n "$$out" ]; then echo "not as gofmt writes them:"; echo "$$out"; exit 1; fi

tidy-check: ## fail when go.mod or go.sum is not as go mod tidy writes it
	GOWORK=off $(GO) mod tidy -diff
	cd cmd && GOWORK=off $(GO) mod tidy -diff

mutants: ## plant bugs in discovery and in worker, one after the other, and see that their simulations catch each (45 minutes)
	$(GO) test -tags mutants -count=1 -timeout 120m -run 'Mutants$$' -v -p 1 ./discovery ./worker

simulate: ## run SCHEDULES (2000000) core schedules of discovery's simulation that nobody has seen, and fail when they reach less than 98 % of what decides
	@GO='$(GO)' scripts/simulate $(SCHEDULES)

bench: ## measure the library against what people write by hand and against the floor, and the manager, in rounds that take turns, and draw how cost grows (8 minutes)
	$(GO) run ./bench
	$(GO) run ./bench -growth docs -rounds 3
	$(GO) test -run '^$$' -bench . -benchtime 25x ./cmd/internal/store ./cmd/internal/server

build: ## build the commands into bin/
	$(GO) build -o bin/ ./cmd/...

fuzz: ## run every fuzz target for FUZZTIME (15s)
	@GO='$(GO)' scripts/fuzz $(FUZZTIME)

# A thousand discoveries in one process are more than two cores and the race detector can do in time; make test has it on.
faults: servers ## bring every fault upon real servers TIMES (5) times, in full length, and print what was measured (12 minutes)
	$(GO) test -race -count=1 -timeout 60m -v -run '^TestFaults$$' ./discovery -faults.full -faults.times=$(TIMES)
	$(GO) test -count=1 -v -run '^TestD(24ManyDiscoveries|14)' ./discovery -faults.full

matrix: servers ## run the edge matrix of each face in full, and print how many cells it has
	$(GO) test $(RACE) -count=1 -timeout 30m -v -run '^TestEdges' $$(grep -rl --include='*_test.go' 'tenantwatch/internal/test/edges"' . | xargs -n 1 dirname | sort -u) -edges.full

proofs: servers ## run two managers on real servers through failovers TIMES (5) times, each right again within 5 s, and print how soon
	$(GO) test -count=$(TIMES) -timeout 30m -v -run 'TwoManagers' ./cmd/tenantwatch -edges.full -test.parallel 1

crash: servers ## kill a manager KILLS (200) times on each database, and fill the outbox with an hour's events; print what became of them
	$(GO) test -count=1 -timeout 60m -v -run '^TestM02KilledAtRandom$$' ./cmd/internal/relay -crash.kills=$(KILLS)
	$(GO) test -count=1 -timeout 60m -v -run '^TestM05' ./cmd/internal/relay -outbox.full

openapi: ## lint the OpenAPI document, and let clients generated for TypeScript and Go make their calls (installs npm)
	@scripts/install-servers npm
	$(GO) test -count=1 -timeout 15m -v -run '^TestX22' ./cmd/tenantwatch -openapi

cover: ## test coverage, as a number a function and as cover/cover.html
	@mkdir -p cover
	$(GO) test -timeout 15m -coverpkg=./...,./cmd/... -coverprofile=cover/cover.out $(EVERYTHING)
	$(GO) tool cover -html=cover/cover.out -o cover/cover.html
	$(GO) tool cover -func=cover/cover.out

clean: ## remove what the targets above made
	rm -rf bin cover .bin
