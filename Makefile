# Two commands suffice on a fresh Debian 12 with Go, git and make:
#
#     make demo      make test
#
# Both install what is missing through apt, as root or with sudo.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Go may be installed where a fresh shell's PATH does not look.
export PATH := $(PATH):/usr/local/go/bin
GO          ?= go
# The interpreter that belongs to the libpython that is linked; a python3 earlier
# in PATH may be another build.
PYTHON      := $(firstword $(wildcard /usr/bin/python3) python3)

# In a copy without git, and in a checkout that git distrusts, Go must not ask it.
IN_GIT      := $(shell git status --porcelain >/dev/null 2>&1 && echo yes)
# Go takes the version from the repository's tags; VERSION=… is for sources without.
VERSION     ?=
BUILDFLAGS  := -trimpath -buildvcs=$(if $(IN_GIT),true,false) $(if $(VERSION),-ldflags '-X cpulb/cmd/version.linked=$(VERSION)')

PROTOC_GEN_GO      := google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
STATICCHECK        := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT          := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
TOOLS              := $(CURDIR)/.cache/bin

FUZZTIME ?= 10s

# The packages whose tests are about programs that run beside them, and of the others those that take
# longest. Those that take longest begin first: else the machine idles while the last of them runs alone.
OF_PROGRAMS := ./cmd/e2e ./plugins/python ./plugins/executortest ./systemd ./examples/executors ./cmd/adversary ./cmd/cpulbd ./cmd/cpulb-conformance \
               ./plugins/wasm ./plugins/exec ./examples/executors/go
LONGEST     := ./daemon ./ipc ./plugins/supervisor

# Of these each test is one goroutine: the race detector would find nothing, in ten times as long.
OF_ONE      := ./cmd/arch ./balancer/simulation

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what building needs (python3-dev, pkg-config, a C compiler), if it is missing
	@.ci/setup build

.PHONY: build
build: setup ## Build bin/cpulbd, bin/cpulb, bin/cpulb-conformance, bin/cpulb-python, bin/cpulb-exec and bin/cpulb-wasm
	@mkdir -p bin
	@$(PYTHON) plugins/python/compiled/compile.py
	CGO_ENABLED=0 $(GO) build $(BUILDFLAGS) -o bin/ ./cmd/cpulbd ./cmd/cpulb ./cmd/cpulb-conformance ./cmd/cpulb-exec ./cmd/cpulb-wasm
	CGO_ENABLED=1 $(GO) build $(BUILDFLAGS) -o bin/ ./cmd/cpulb-python

# As it stands below /usr, for whoever packages or installs the programs.
.PHONY: share
share: build ## Write the manual pages and the shells' completions to bin/share
	@mkdir -p bin/share/man/man1 bin/share/man/man8 bin/share/bash-completion/completions bin/share/zsh/vendor-completions bin/share/fish/vendor_completions.d
	bin/cpulb man >bin/share/man/man1/cpulb.1
	bin/cpulbd -man >bin/share/man/man8/cpulbd.8
	bin/cpulb completion bash >bin/share/bash-completion/completions/cpulb
	bin/cpulb completion zsh >bin/share/zsh/vendor-completions/_cpulb
	bin/cpulb completion fish >bin/share/fish/vendor_completions.d/cpulb.fish

.PHONY: install
install: share ## Install the programs, units, manual pages and completions, and a configuration if there is none (PREFIX=/usr/local, DESTDIR=)
	@DESTDIR='$(DESTDIR)' PREFIX='$(or $(PREFIX),/usr/local)' packaging/install

.PHONY: demo
demo: build ## Run the examples on a private daemon and show where each ran
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) examples/demo.py bin

.PHONY: test
# Two groups of packages beside each other, each with as many at a time as there are CPUs: more take
# longer, as the processes that they start are in each other's way. Where one fails, the other goes on.
# The checks of cgo slow all of a program down: they are for the package that has it and the one that uses it.
test: build ## Run all tests: Go with the race detector and the checks of cgo, the Python client (SHORT=1: of the long ones a part, and with the race detector what is the tests' own process)
	@$(MAKE) --no-print-directory -k -j2 test-of-programs test-of-packages test-of-one
	CPULB_BIN=$(CURDIR)/bin GOEXPERIMENT=cgocheck2 $(GO) test -count=1 -vet=off -timeout 30m ./embedpy/... $(if $(SHORT),,./plugins/python/...)
	@$(MAKE) --no-print-directory test-python

# Tests run the built programs; of those Go's cache of test results knows nothing. What go vet has to say, make lint says.
GOTEST = CPULB_BIN=$(CURDIR)/bin $(GO) test $(if $(SHORT),-short) -count=1 -vet=off -timeout 30m

# With SHORT the race detector sees only those of plugins/python in which slots meet; the programs
# have none anyway, but for the daemon that cmd/e2e builds with it.
.PHONY: test-of-programs
test-of-programs: build
	$(GOTEST) $(if $(SHORT),,-race) -p $$(nproc) $(OF_PROGRAMS)
	$(if $(SHORT),$(GOTEST) -race ./plugins/python -run 'Loop|Neighbour|Together|TestStop|TestTaskStopped|NoStop')

.PHONY: test-of-packages
test-of-packages: build
	$(GOTEST) -race -p $$(nproc) $(LONGEST) $$($(GO) list ./... | grep -vxF "$$($(GO) list $(OF_PROGRAMS) $(OF_ONE))")

.PHONY: test-of-one
test-of-one:
	$(GOTEST) $(OF_ONE)

.PHONY: test-python
test-python: build ## Run the Python client's tests alone
	CPULB_BIN=$(CURDIR)/bin PYTHONPATH=ipc/python PYTHONDONTWRITEBYTECODE=1 \
	    $(PYTHON) -W error::ResourceWarning -m unittest discover -s ipc/python/tests

.PHONY: test-python-client-3.9 test-python-client-3.13 test-python-client-3.14
test-python-client-3.9 test-python-client-3.13 test-python-client-3.14: test-python-client-%: build ## Run the Python client's tests with this CPython, in a tree of the Debian release that has it
	@.ci/python-client $*

.PHONY: deb-python
deb-python: ## Build the Python client's Debian package in .cache/deb
	@packaging/python/deb

.PHONY: test-python-package
test-python-package: ## Install the Python client by pip, without a network, and from its Debian package, and have mypy check a program that uses each
	@.ci/setup types
	@packaging/python/test

.PHONY: test-futures
test-futures: build ## Install CPython's own tests, and run those of concurrent.futures against the Python client's Executor (FUTURES=name of some)
	@.ci/setup futures
	CPULB_BIN=$(CURDIR)/bin PYTHONPATH=ipc/python PYTHONDONTWRITEBYTECODE=1 \
	    $(PYTHON) -m unittest discover -s ipc/python/tests -p standard_futures.py -v $(if $(FUTURES),-k '$(FUTURES)')

.PHONY: test-joblib
# Left out: where loky's own processes are asked for a backend that nobody has registered there.
test-joblib: build ## Install joblib and scikit-learn, and run their tests of what is parallel with the Python client's backend
	@.ci/setup libraries
	cd $$(mktemp -d) && export CPULB_BIN=$(CURDIR)/bin PYTHONPATH=$(CURDIR)/ipc/python:$(CURDIR)/ipc/python/tests PYTHONDONTWRITEBYTECODE=1 && \
	    $(PYTHON) -m pytest -q -p joblib_backend -p no:cacheprovider --pyargs joblib.test.test_parallel \
	        -k 'cpulb and not loky-cpulb and not back_compat_backend-cpulb' && \
	    CPULB_DEFAULT=1 $(PYTHON) -m pytest -q -p joblib_backend -p no:cacheprovider --pyargs \
	        sklearn.ensemble.tests.test_forest sklearn.ensemble.tests.test_voting sklearn.model_selection.tests.test_validation sklearn.utils.tests.test_parallel \
	        -k 'n_jobs or parallel or cross_val_score or learning_curve'

.PHONY: test-examples
test-examples: build ## Install what the executors in examples/executors need, and run their tests
	@.ci/setup examples
	CPULB_BIN=$(CURDIR)/bin $(GO) test -count=1 ./examples/executors/... -v

.PHONY: test-pages
test-pages: build ## Install the languages of docs/examples_guide.md, and run all that it and docs/protocol.md show
	@.ci/setup languages
	CPULB_BIN=$(CURDIR)/bin $(GO) test -count=1 ./cmd/e2e -run 'Guide|Protocol|Page' -v

.PHONY: test-dashboard
test-dashboard: build ## Install Chromium, and run the tests of cpulb dashboard in it
	@.ci/setup dashboard
	CPULB_BROWSER=1 CPULB_BIN=$(CURDIR)/bin $(GO) test -count=1 ./cmd/cpulb/dashboard -v

.PHONY: check-alerts
check-alerts: ## Install promtool, and check the alert rules and the dashboard in packaging with it
	@.ci/setup alerts
	$(GO) test -count=1 ./packaging -v

.PHONY: test-shells
test-shells: ## Install the shells that cpulb completes for, and mandoc, and run their tests
	@.ci/setup shells
	$(GO) test -count=1 ./cmd/cpulb/completion ./cmd/cpulb/manual -v
	$(GO) test -count=1 ./cmd/cpulb -run 'Completion|Manual|Shell' -v

# Signal stacks are Go's and faulthandler's, and not the sanitizer's to free.
.PHONY: test-asan
test-asan: setup ## Run the tests of the C code with the address sanitizer
	ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=0 $(GO) test -asan ./embedpy/... ./plugins/python/...

.PHONY: test-python-3.11 test-python-3.13
test-python-3.11 test-python-3.13: test-python-%: setup ## Build the executor against this CPython and run its tests, in a tree of the Debian release that has it
	@PATH="$(PATH)" .ci/python $*

.PHONY: test-libraries
test-libraries: setup ## Install well-known libraries and Python's own tests, and run them as tasks
	@.ci/setup libraries
	CPULB_LIBRARIES=1 $(GO) test -count=1 -timeout 30m ./plugins/python -run 'TestLibraries|TestTheStandardLibrarys|TestNumpy' -v

.PHONY: test-differential
test-differential: setup ## Hold all scripts of the tests to python3, and 300 generated ones, in all that they print
	CPULB_DIFFERENTIAL=300 $(GO) test -count=1 ./plugins/python -run TestPythonDoes
	CPULB_DIFFERENTIAL=300 $(GO) test -count=1 ./cmd/e2e -run 'AsUnderPython|AsPythonDoes'

.PHONY: soak-python
soak-python: setup ## Run 100,000 tasks in one worker and see that it holds no more afterwards
	CPULB_SOAK_TASKS=100000 $(GO) test ./cmd/e2e -run TestAWorkerHoldsNoMoreAfterManyTasks -v -timeout 30m

.PHONY: soak-deaths
soak-deaths: setup ## Kill 1,000 workers under load and see that every task ends and the daemon holds no more afterwards
	CPULB_SOAK_DEATHS=1000 $(GO) test ./cmd/e2e -run TestTheDaemonHoldsNoMoreAfterManyDeaths -v -timeout 30m

.PHONY: soak-swap
soak-swap: setup ## Swap an executor's program and roll it back among 100,000 tasks and see that none is lost, blamed or rerun
	CPULB_SOAK_SWAP=100000 $(GO) test ./cmd/e2e -count=1 -run TestASwapUnderLoad -v -timeout 30m

.PHONY: soak-race
soak-race: setup ## Load a daemon built with the race detector for 80 s, with clients that leave, workers that die and reloads
	CPULB_SOAK_RACE=80s $(GO) test ./cmd/e2e -count=1 -run TestADaemonUnderAMixedLoad -v -timeout 30m

.PHONY: test-adversary
test-adversary: build ## Attack a daemon in every known way, as one of three users, and show how the others fare and what it takes
	CPULB_BIN=$(CURDIR)/bin CPULB_ADVERSARY=5s $(GO) test ./cmd/adversary -count=1 -v -timeout 60m

.PHONY: bench
# NEIGHBOURS=install installs those that are missing; ROUNDS=1 SHORT=1 is for a quick look, and prints only.
bench: build ## Measure cpulb beside its neighbours, ROUNDS (5) times; write docs/benchmarks.md (NEIGHBOURS=install, SHORT=1)
	@if [ "$(NEIGHBOURS)" = install ]; then .ci/setup neighbours; fi
	$(GO) run ./bench -bin bin -rounds $(or $(ROUNDS),5) $(if $(SHORT),-short)

.PHONY: bench-scale
bench-scale: build ## Of the same, print what the journal and a million queued tasks cost
	$(GO) run ./bench -bin bin -rounds $(or $(ROUNDS),5) -only journal,queue

.PHONY: bench-balancing
bench-balancing: setup ## Simulate the balancer on a virtual clock; write docs/balancing.svg and print the table
	CPULB_SIMULATED_TASKS=20000 $(GO) test -count=1 ./balancer/simulation
	$(GO) run ./bench/balancing

.PHONY: bench-fleet
bench-fleet: build ## Of the same, print what balancing is for: cores, the end of skewed work, many sleepers, short tasks beside long ones
	$(GO) run ./bench -bin bin -rounds $(or $(ROUNDS),5) -only fleet,work,waiting

# What make bench-go and make bench-compare run, and for how long each.
BENCH     ?= .
BENCHTIME ?= 0.1s

.PHONY: bench-go
bench-go: setup ## Run the Go benchmarks of every package, with allocations (BENCH=regexp, BENCHTIME=0.1s)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -p 1 $$(.ci/bench-packages)

.PHONY: bench-compare
bench-compare: setup ## Run them on this tree and on BASE=ref in turns, and print what has changed (ROUNDS=6, BENCH=regexp)
	@[ -n "$(BASE)" ] || { echo "usage: make bench-compare BASE=ref [BENCH=regexp] [ROUNDS=6] [BENCHTIME=0.1s]" >&2; exit 2; }
	@GO='$(GO)' BENCHSTAT='$(BENCHSTAT)' BENCH='$(BENCH)' BENCHTIME='$(BENCHTIME)' ROUNDS='$(or $(ROUNDS),6)' .ci/bench-compare '$(BASE)'

.PHONY: soak-crash
soak-crash: setup ## Kill the daemon 200 times under load and see that nothing acknowledged is lost
	CPULB_CRASH_KILLS=200 $(GO) test ./cmd/e2e -count=1 -run TestNoAcknowledgedTask -v -timeout 30m

.PHONY: fuzz
fuzz: setup ## Fuzz everything that parses foreign bytes, each for FUZZTIME (10s), or so often (300x)
	@GO='$(GO)' .ci/fuzz $(FUZZTIME)

.PHONY: fuzz-long
fuzz-long: ## The same, ten minutes each
	@$(MAKE) --no-print-directory fuzz FUZZTIME=10m

.PHONY: generate
generate: ## Generate plugins/proto/*.pb.go from executor.proto
	@.ci/setup generate
	@mkdir -p $(TOOLS)
	@GOBIN=$(TOOLS) $(GO) install $(PROTOC_GEN_GO)
	@GOBIN=$(TOOLS) $(GO) install $(PROTOC_GEN_GO_GRPC)
	PATH="$(TOOLS):$$PATH" $(GO) generate ./plugins/proto

.PHONY: lint
lint: setup ## gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l $$($(GO) list -f '{{.Dir}}' ./...)); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

.PHONY: check
check: lint ## lint, generated code in sync with its source, go.mod tidy, the Python client's types
	@.ci/generated-in-sync
	$(GO) mod tidy -diff
	@.ci/setup types
	cd ipc/python && mypy --cache-dir=$(CURDIR)/.cache/mypy

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
