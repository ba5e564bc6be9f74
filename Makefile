# Build, demonstrate and test cpulb. `make help` lists the targets.

SHELL := /bin/bash
# Debian's python3-config, pkg-config and python3 before any other build of them;
# Go's usual place after everything.
export PATH := /usr/bin:$(PATH):/usr/local/go/bin
PYTHON := /usr/bin/python3
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -ldflags "-X main.version=$(VERSION)"
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PROTOC_GEN_GO := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
TOOLS := $(CURDIR)/.cache/bin
FUZZTIME ?= 10s

.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench fuzz tools generate check clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Install what is missing: python3-dev, pkg-config, a C compiler
	@.ci/setup

build: setup ## Build cpulbd, cpulb and cpulb-python into bin/
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/cpulbd ./cmd/cpulbd
	CGO_ENABLED=0 go build $(LDFLAGS) -o bin/cpulb ./cmd/cpulb
	CGO_ENABLED=1 go build $(LDFLAGS) -o bin/cpulb-python ./cmd/cpulb-python

demo: build ## Run the examples on a private daemon and show where each ran
	$(PYTHON) examples/demo.py bin

test: build ## Run all tests
	go test -race -timeout 480s ./...
	GOEXPERIMENT=cgocheck2 go test -count=1 ./embedpy/... ./plugins/python/...
	CPULB_BIN=$(CURDIR)/bin PYTHONPATH=ipc/python $(PYTHON) -m unittest discover -s ipc/python/tests

bench: build ## Measure round trips, throughput, memory and start-up
	go run ./bench/latency -bin bin

fuzz: ## Fuzz what parses foreign bytes, FUZZTIME (10s) for each target
	@go list ./... | while read -r package; do \
	  for target in $$(go test -list '^Fuzz' "$$package" | grep '^Fuzz'); do \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	  done; done

tools:
	@command -v protoc >/dev/null || .ci/setup protobuf-compiler
	@GOBIN=$(TOOLS) go install $(PROTOC_GEN_GO)
	@GOBIN=$(TOOLS) go install $(PROTOC_GEN_GO_GRPC)

generate: tools ## Generate code from executor.proto
	PATH=$(TOOLS):$$PATH go generate ./plugins/proto

check: setup tools ## Check format, vet, lint, generated code and go.mod
	@files=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$files" ] || { echo "not formatted: $$files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@before=$$(cat plugins/proto/*.pb.go | sha256sum); PATH=$(TOOLS):$$PATH go generate ./plugins/proto; \
	  [ "$$before" = "$$(cat plugins/proto/*.pb.go | sha256sum)" ] || { echo "generated code was not in sync with executor.proto"; exit 1; }
	go mod tidy -diff

clean: ## Remove what was built
	rm -rf bin .cache
