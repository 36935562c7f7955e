# Everything a developer or CI does. Each target sets up what it needs first.
#
#   make run     a real search on real Omniglot on this machine, to its report
#   make test    all tests
#   make check   format, lint, types, import contracts, generated files
#   make help    the rest

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUTPUT ?= runs/omniglot-quick
PYTEST_ARGS ?=
CLUSTER ?=
# Where a cluster is given, tests share its definitions, and go one after the other.
TEST_PROCESSES ?= $(if $(CLUSTER),0,2)

# Bytecode is kept, whatever the machine says: without, every process that imports PyTorch compiles 900 modules, and
# tests start hundreds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

.PHONY: setup
setup: $(READY) ## Install uv where it is missing, and the locked dependencies into .venv

$(READY): pyproject.toml uv.lock scripts/setup.sh
	@scripts/setup.sh
	@touch $@

.PHONY: run
run: setup ## Search on real Omniglot, in some minutes, to runs/omniglot-quick/report.html
	$(BIN)/metasearch run examples/omniglot-quick.yaml --output $(OUTPUT) --resume

.PHONY: test
test: setup ## Run every test; CLUSTER=<kubeconfig> uses that cluster instead of one of its own
	@scripts/setup.sh browser
	@$(if $(CLUSTER),,scripts/setup.sh cluster)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(if $(CLUSTER),--cluster "$(CLUSTER)") $(PYTEST_ARGS)

.PHONY: cluster
cluster: setup ## Start a Kubernetes cluster on this machine (Debian, as root), and say how to use it
	@scripts/setup.sh cluster
	@PYTHONPATH=tests/support $(BIN)/python -m cluster up

.PHONY: cluster-down
cluster-down: setup ## End it
	@PYTHONPATH=tests/support $(BIN)/python -m cluster down

.PHONY: images
images: setup ## Build the images of operator and trainer (Debian, as root); they are on the nodes of make cluster
	@scripts/setup.sh cluster
	@PYTHONPATH=tests/support $(BIN)/python -m cluster build

.PHONY: check
check: setup ## Format, lint, types, import contracts, and whether generated files are up to date
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate.py --check

.PHONY: generate
generate: setup ## Write the files that are generated from the models
	$(BIN)/python scripts/generate.py

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: setup ## Run the benchmarks that take minutes; the figures in docs/ come from them
	$(BIN)/python benchmarks/trainer_speed.py
	$(BIN)/python benchmarks/surrogate_speed.py
	$(BIN)/python benchmarks/search_quality.py

.PHONY: clean
clean: ## Remove what was installed and built here, but no results
	rm -rf $(VENV) .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
