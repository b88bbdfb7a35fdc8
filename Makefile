# SPDX-License-Identifier: Apache-2.0
# Every verb of the project; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
READY := $(VENV)/.ready
PROTOS_OUT ?= src
DIST ?= dist
GUEST_PYTHON := /usr/bin/python3
BENCH := $(VENV)/guest
BENCH_READY := $(BENCH)/.ready

# Debian packages of the guests and the tests: see CONTRIBUTING.md, "Dependencies".
DEBIAN_RUN := crun busybox-static iproute2 python3-venv
DEBIAN_VM := qemu-system-x86 erofs-utils xz-utils zstd patchelf kmod python3-venv
DEBIAN_TARBALL := gcc binutils
DEBIAN_DOCS := graphviz
DEBIAN_SHELLS := bash zsh fish mandoc groff lintian
DEBIAN_TEST := runc containerd slirp4netns iptables openssl socat e2fsprogs xfsprogs cpio systemd \
	chromium tini tmux $(DEBIAN_TARBALL) $(DEBIAN_DOCS) $(DEBIAN_SHELLS)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up ---

.PHONY: setup
setup: $(READY) ## Make the virtual environment for development

# The programs alone: a tenth of what development needs.
$(RUN_READY): pyproject.toml ttrpc/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ./ttrpc --editable .
	@touch $@

$(READY): $(RUN_READY)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable ./ttrpc --editable '.[dev]'
	@touch $@

.PHONY: debian-run debian-test debian-vm debian-docs
debian-run: ## Install the Debian packages that `make run` needs
	@packaging/debian-install $(DEBIAN_RUN)
debian-test: debian-run debian-vm ## Install the Debian packages that `make test` needs
	@packaging/debian-install $(DEBIAN_TEST)
debian-docs: ## Install the Debian packages that `make docs` needs
	@packaging/debian-install $(DEBIAN_DOCS)
debian-vm: ## Install the Debian packages that `make run-vm` needs
	@packaging/debian-install $(DEBIAN_VM)

# --- run ---

.PHONY: run
run: debian-run $(RUN_READY) ## Run a container in a local guest and show its trace
	$(BIN)/kata-agent-ctl run --local --trace -- sh -c 'echo "hello from $$(hostname), pid $$$$"; uname -sr'

.PHONY: image
image: debian-vm $(RUN_READY) ## Build the image of the VM guest
	$(BIN)/python -m kata_host.guest.image

.PHONY: ready-image
ready-image: debian-vm $(RUN_READY)
	@$(BIN)/python -m kata_host.guest.image --if-missing >/dev/null

.PHONY: tarball
tarball: ready-image ## Build kata-agent.tar.zst for the builders of Kata's images
	@packaging/debian-install $(DEBIAN_TARBALL)
	$(BIN)/python -m kata_host.guest.tarball kata-agent.tar.zst

.PHONY: run-vm
run-vm: ready-image ## Run a container in a VM guest
	$(BIN)/kata-agent-ctl run --vm -- uname -a

# --- distribute ---

.PHONY: dist
dist: $(READY) ## Build and check the wheels and sdists of both distributions, in DIST
	@rm -rf $(DIST)
	$(BIN)/python -m build --outdir $(DIST) ttrpc
	$(BIN)/python -m build --outdir $(DIST) .
	$(BIN)/twine check --strict $(DIST)/*

.PHONY: deb
deb: dist ## Build a Debian package of the host's programs, in DIST
	packaging/make-deb $(DIST) $(BIN)/python

# --- check ---

.PHONY: conformance
conformance: $(READY) ## Test the API of an agent: `make conformance ADDRESS=vsock://3:1024`
	AGENT_ADDRESS='$(ADDRESS)' $(BIN)/python -m pytest tests/conformance

.PHONY: test test-fast test-vm
test: debian-test ready-image $(READY) ## Run the linters and every test
	$(BIN)/python -m pytest
test-fast: debian-test $(READY) ## Run the tests that are not slow and boot no VM
	$(BIN)/python -m pytest -m 'not vm and not slow'
test-vm: debian-test ready-image $(READY) ## Run the tests that boot a VM
	$(BIN)/python -m pytest -m vm

.PHONY: lint
lint: $(READY) ## Format check, lint, types
	$(BIN)/python -m pytest -q tests/test_linters.py

.PHONY: coverage
coverage: $(READY) ## Check that tests take every branch of the protocol core
	$(BIN)/python -m pytest -q tests/test_coverage.py

.PHONY: fmt
fmt: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: protos
protos: ## Generate the Python of protos/*.proto and ttrpc/*.proto
	@mkdir -p $(PROTOS_OUT)
	$(BIN)/python -m grpc_tools.protoc -Ikata_protos=protos --python_out=$(PROTOS_OUT) --pyi_out=$(PROTOS_OUT) \
		--plugin=protoc-gen-pyttrpc=$(BIN)/protoc-gen-pyttrpc --pyttrpc_out=$(PROTOS_OUT) protos/*.proto
	$(BIN)/python -m grpc_tools.protoc -Ittrpc=ttrpc --python_out=$(PROTOS_OUT) --pyi_out=$(PROTOS_OUT) ttrpc/*.proto
	@# The check that protoc writes allows two major versions of protobuf; three work.
	@sed -i -e '/import runtime_version/d' -e '/^_runtime_version\./,/^)$$/d' $(PROTOS_OUT)/ttrpc/*_pb2.py

.PHONY: docs docs-cli docs-reference
docs-cli: $(READY) ## Write docs/cli.md from --help of every command
	$(BIN)/python docs/tools/cli.py
docs-reference: $(READY) ## Write docs/ttrpc/reference/ from the docstrings of ttrpc
	$(BIN)/python docs/tools/reference.py
docs: debian-docs $(READY) ## Build the documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# --- measure ---

.PHONY: fuzz
fuzz: $(READY) ## Fuzz the readers of sockets for a minute, the API for half of one
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable ./ttrpc --editable '.[fuzz]'
	$(BIN)/python -m fuzz.frames -max_total_time=60
	$(BIN)/python -m fuzz.requests --seconds 30

.PHONY: soak soak-minute
soak: $(BENCH_READY) ## Load local guests for half an hour: nothing may grow
	$(BENCH)/bin/python -m bench.soak --write
soak-minute: $(BENCH_READY) ## The same for a minute, as CI does
	$(BENCH)/bin/python -m bench.soak --seconds 60

# The benchmarks run on Debian's Python, as the guest does, whatever PYTHON is.
$(BENCH_READY): $(READY)
	@test -x $(BENCH)/bin/python || $(GUEST_PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade pip
	$(BENCH)/bin/python -m pip install --quiet --editable ./ttrpc --editable '.[jaeger]' pytest
	@touch $@

.PHONY: bench-ttrpc bench-budget bench-tracing bench-containers bench-boot bench-starts
.PHONY: bench-charts
bench-charts: $(READY) ## Draw the tables of bench/README.md for the documentation
	$(BIN)/python -m bench.document
.PHONY: bench-control bench-stdio bench-copies bench-scale bench-compare
bench-compare: $(BENCH_READY) ## Compare two revisions: `make bench-compare REV=main RUN='stdio --size 64'`
	$(BENCH)/bin/python -m bench.compare $(REV) $(RUN)
bench-ttrpc: $(BENCH_READY) ## Compare our ttrpc with Go's and others, cell by cell
	$(BENCH)/bin/python -m pip install --quiet grpcio grpclib
	$(BENCH)/bin/python -m bench.ttrpc --write
bench-tracing: $(BENCH_READY) ## Measure the cost of a span, and calls with a hung collector
	$(BENCH)/bin/python -m bench.tracing --write
bench-containers: $(BENCH_READY) ## Compare containers over RPC with crun by itself
	$(BENCH)/bin/python -m bench.containers --write
bench-control: $(BENCH_READY) ## Measure Check while calls hang, and with thousands of processes
	$(BENCH)/bin/python -m bench.control --write
	$(BENCH)/bin/python -m bench.crowd --write
	$(BENCH)/bin/python -m bench.orphans --write
bench-stdio: $(BENCH_READY) ## Check 10,000 execs and 1 GiB each way, compare with a bare pipe
	$(BENCH)/bin/python -m bench.stdio --write
bench-copies: $(BENCH_READY) ## Copy 1 GiB each way, compare with stream ports, cp and tar
	$(BENCH)/bin/python -m bench.copies --write
bench-scale: $(BENCH_READY) ## Run 500 containers in one sandbox, and show what grows up to 2,000
	$(BENCH)/bin/python -m bench.scale --write
	$(BENCH)/bin/python -m bench.growth --write
bench-boot: ready-image $(BENCH_READY) ## Measure a VM's time to the first answered Check
	$(BENCH)/bin/python -m bench.boot --write
bench-starts: ready-image $(BENCH_READY) ## Compare VMs that boot, are restored, are of a pool
	$(BENCH)/bin/python -m bench.starts --write
bench-budget: $(BENCH_READY) ## Check start-up and memory against the budget
	$(BENCH)/bin/python -m bench.budget
	$(BENCH)/bin/python -m bench.containers
