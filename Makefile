# Build, test, run: the packaging guide's targets. What each needs it installs itself (`setup`), except Rust and a
# C compiler for the programs alone.

# Which targets and steps go to cargo; set CARGO_FLAGS=--locked to hold Cargo.lock still, as .ci/run does.
CARGO ?= cargo
CARGO_FLAGS ?=
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where a test leaves a note when a program it drives cannot be had.
export MCR_NOT_RUN ?= $(abspath $(TARGET))/not-run
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 5
FUZZ_SECONDS_LONG ?= 60
# Further arguments of every test binary.
TEST_FLAGS ?=
# Further arguments of the bench, such as BENCH="--plain --only manifest --pairs 3".
BENCH ?=

.DEFAULT_GOAL := all
.PHONY: all help build test test-long suites fuzz not-run setup vet lint fmt bench bench-tools bench-access bench-gc conformance devserver clean

all: ## vet, lint, test, build
# One after the other, whatever -j says: they wait for the same lock.
	$(MAKE) vet
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

build: ## the programs, in target/release
	$(CARGO) build $(CARGO_FLAGS) --release -p mcr-server -p mcr-ctl

devserver: build ## a registry in ./srv, with a password and three lines to paste
	exec $(TARGET)/release/mcrsrv server --dev

setup: ## what the tests drive: client programs, other registries, real content
	scripts/setup-tests.sh

test: setup ## every test, and a short run of every fuzz target
	$(MAKE) suites
	$(MAKE) fuzz
	@$(MAKE) --no-print-directory not-run

test-long: setup ## the same with hundreds of kills, long histories and long fuzz runs
	MCR_LONG=1 $(MAKE) suites TEST_FLAGS=--include-ignored
	$(MAKE) fuzz FUZZ_SECONDS=$(FUZZ_SECONDS_LONG)
	@$(MAKE) --no-print-directory not-run

# The suites start the programs that lie beside them. Everything is built as the tests want it, so that nothing is
# built twice; one failing suite does not hide the next.
suites:
	rm -rf $(MCR_NOT_RUN)
	$(CARGO) build $(CARGO_FLAGS) --workspace --all-targets
	$(CARGO) test $(CARGO_FLAGS) --workspace --no-fail-fast -- $(TEST_FLAGS)

fuzz:
	scripts/fuzz-short.sh $(FUZZ_SECONDS)

# A test that could not run is never silent.
not-run:
	@if [ -d $(MCR_NOT_RUN) ]; then cat $(MCR_NOT_RUN)/*; fi

conformance: setup ## the official conformance program; writes docs/conformance.md
	$(CARGO) build $(CARGO_FLAGS) -p mcr-server -p mcr-ctl
	MCR_BLESS=1 $(CARGO) test $(CARGO_FLAGS) -p mcr-tests --test clients conformance::

vet: ## types, documentation, and dependencies where cargo-deny is installed
	$(CARGO) check $(CARGO_FLAGS) --workspace --all-targets
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(CARGO_FLAGS) --workspace --no-deps --document-private-items
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	else echo "vet: cargo-deny is not installed; dependencies were not checked"; fi

lint: ## rustfmt and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

fmt: ## rustfmt, in place
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml

bench: ## side by side with other registries; writes docs/benchmarks.md
	bench/setup.sh
	$(CARGO) build $(CARGO_FLAGS) --profile dist -p mcr-server -p mcr-bench
	$(TARGET)/dist/mcr-bench run --mcrsrv $(TARGET)/dist/mcrsrv --scratch $(TARGET) --json $(TARGET)/bench.json \
		--markdown docs/benchmarks.md $(BENCH)

bench-tools: ## verify, probe and scan at scale; writes docs/benchmarks.md
	bench/setup.sh
	$(CARGO) build $(CARGO_FLAGS) --profile dist -p mcr-server -p mcr-ctl -p mcr-bench
	$(TARGET)/dist/mcr-bench tools --mcrsrv $(TARGET)/dist/mcrsrv --mcrctl $(TARGET)/dist/mcrctl --scratch $(TARGET) \
		--markdown docs/benchmarks.md $(BENCH)

bench-access: ## what logins, rules and the audit trail cost
	bench/setup.sh
	$(CARGO) build $(CARGO_FLAGS) --release -p mcr-server -p mcr-bench --features mcr-metadata/without-audit
	cp $(TARGET)/release/mcrsrv $(TARGET)/mcrsrv-without-audit
	$(CARGO) build $(CARGO_FLAGS) --release -p mcr-server -p mcr-bench
	$(TARGET)/release/mcr-bench access --mcrsrv $(TARGET)/release/mcrsrv --scratch $(TARGET) \
		--without-audit $(TARGET)/mcrsrv-without-audit $(BENCH)

bench-gc: ## collections of grown registries, and what pushes notice of them
	$(CARGO) build $(CARGO_FLAGS) --release -p mcr-server -p mcr-bench
	$(TARGET)/release/mcr-bench gc --mcrsrv $(TARGET)/release/mcrsrv --scratch $(TARGET) $(BENCH)

clean: ## what builds and fuzz runs made; never ./srv
	$(CARGO) clean
	rm -rf fuzz/target fuzz/artifacts
