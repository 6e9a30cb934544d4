# The one door. Nothing needs to be installed first but a Rust toolchain and a C compiler; PostgreSQL is
# found, or installed by scripts/install-postgres.

CARGO ?= cargo
# Programs that only the tests need.
TOOLS := $(if $(CARGO_TARGET_DIR),$(abspath $(CARGO_TARGET_DIR)),$(CURDIR)/target)/tools
# Enough to replay the corpus and to notice a decoder that breaks easily.
FUZZ_SECONDS_IN_TEST := 3

# Set on the command line for the long runs.
ANSWERS ?= 10000000
MINUTES ?= 10

# What `make matrix` holds against each PostgreSQL: the suites that depend on what a server says.
VERSIONS ?= 15 16 17 18
SUITES ?= drivers pooling prepared edges auth http timeouts tls faults

.PHONY: fuzz-http fleet matrix storm soak faults help dev test check format lint postgres drivers bench bench-http fuzz

help:
	@echo 'make dev     start a catalog, two regions, the control plane and the gateway on this machine'
	@echo 'make test    run every test'
	@echo 'make check   what CI runs: formatting, lints, tests'
	@echo 'make storm   ten million answers over one and two connections, none of them a stranger'"'"'s; ANSWERS=N'
	@echo 'make soak    ten minutes of everything with faults, memory flat at the end; MINUTES=N'
	@echo 'make faults  every fault at every message; make test takes a sample'
	@echo 'make matrix  the relay and every driver against PostgreSQL 15, 16, 17 and 18; VERSIONS, SUITES'
	@echo 'make bench   the gateway and PgBouncer side by side; options go into ARGS'
	@echo 'make bench-http  SQL over HTTP beside our own wire protocol; options go into ARGS'
	@echo 'make fleet   many tenants at once, a scenario of benches/fleet; SCENARIO=share, options go into ARGS'
	@echo 'make fuzz    look for input that breaks a decoder, for SECONDS each'
	@echo 'make fuzz-http  hold both HTTP surfaces to their OpenAPI documents, for SECONDS each'

# Options of `tenantry dev` go into ARGS, such as ARGS="--ephemeral".
dev: postgres
	$(CARGO) build --locked --package tenantry
	@exec $${CARGO_TARGET_DIR:-target}/debug/tenantry dev $(ARGS)

test: postgres drivers
	@scripts/install-promtool "$(TOOLS)"
	PATH="$$PATH:$(TOOLS)" $(CARGO) test --locked --workspace --no-fail-fast
	@scripts/fuzz $(FUZZ_SECONDS_IN_TEST)

check: format lint test

format:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

postgres:
	@scripts/install-postgres >/dev/null

# The clients that the gateway is tried with, into target/drivers.
drivers:
	@tests/drivers/prepare

# SECONDS for each decoder; TARGETS narrows it to some of pgwire/fuzz/fuzz_targets.
fuzz:
	@scripts/fuzz $(or $(SECONDS),60) $(TARGETS)

# Both HTTP surfaces for SECONDS each; "make test" gives each a minute.
fuzz-http: postgres
	@tests/drivers/prepare fuzzer
	TENANTRY_FUZZ_SECONDS=$(or $(SECONDS),600) $(CARGO) test --locked --package suites --test drivers -- --nocapture fuzz

bench: postgres
	@command -v pgbouncer >/dev/null || apt-get install -y -qq pgbouncer >/dev/null
	$(CARGO) build --locked --release --package tenantry
	@benches/side_by_side.py $(ARGS)

bench-http: postgres
	@command -v h2load >/dev/null || apt-get install -y -qq nghttp2-client >/dev/null
	$(CARGO) build --locked --release --package tenantry
	@benches/over_http.py $(ARGS)

# SCENARIO is one of those in benches/fleet/README.md; ARGS="--long" for the published sizes.
SCENARIO ?= share
fleet: postgres
	@command -v pgbouncer >/dev/null || apt-get install -y -qq pgbouncer >/dev/null
	$(CARGO) build --locked --release --package tenantry --package tenantry-fleet
	@$${CARGO_TARGET_DIR:-target}/release/fleet scenario $(SCENARIO) --pgbouncer "$$(command -v pgbouncer)" \
		--gateway $${CARGO_TARGET_DIR:-target}/release/tenantry $(ARGS)

# The long runs of suites that "make test" runs in short.
storm: postgres
	ANSWERS=$(ANSWERS) $(CARGO) test --locked --release --package suites --test pooling -- --ignored --nocapture storm

soak: postgres
	MINUTES=$(MINUTES) $(CARGO) test --locked --release --package suites --test soak -- --ignored --nocapture

faults: postgres
	TENANTRY_TESTS=full $(CARGO) test --locked --package suites --test faults -- --nocapture matrix

# Every version is tried, whatever another one did.
matrix: postgres drivers
	@tests/drivers/prepare rust
	@failed=; for version in $(VERSIONS); do \
		programs=$$(scripts/fetch-postgres "$$version") || exit; \
		scripts/install-postgres --clients "$$version" >/dev/null || exit; \
		echo "==== PostgreSQL $$version: $$programs"; \
		TENANTRY_PG_BIN="$$programs" $(CARGO) test --locked --package suites --no-fail-fast \
			$(SUITES:%=--test %) || failed="$$failed $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "error: the suites failed with PostgreSQL$$failed" >&2; exit 1; fi
