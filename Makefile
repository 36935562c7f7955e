# Everything that a developer or CI does. Each target first installs what it needs.
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
LEARNER ?= prototypes
SEARCH := $(if $(filter reptile,$(LEARNER)),omniglot-reptile,omniglot-quick)
OUTPUT ?= runs/$(SEARCH)
PYTEST_ARGS ?=
CLUSTER ?=
# Tests on an existing cluster share its CRDs, so they run one after the other.
TEST_PROCESSES ?= $(if $(CLUSTER),0,3)

# Bytecode is written even if the environment forbids it: without it, every process that imports PyTorch compiles 900
# modules, and tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

.PHONY: setup
setup: $(READY) ## Install uv if it is missing, and the locked dependencies into .venv

$(READY): pyproject.toml uv.lock scripts/setup.sh
	@scripts/setup.sh
	@touch $@

.PHONY: run
run: setup ## Run a search on Omniglot, which takes minutes, to runs/omniglot-quick/report.html; LEARNER=reptile is the paper's
	@$(if $(filter prototypes reptile,$(LEARNER)),,echo "make run: LEARNER is $(LEARNER); it must be prototypes or reptile" >&2; exit 2)
	$(BIN)/metasearch run examples/$(SEARCH).yaml --output $(OUTPUT) --resume

.PHONY: headline
headline: setup ## Reach the paper's accuracy with a search of one's own, within an hour or so; goes on where it stopped
	$(BIN)/metasearch run examples/omniglot-headline.yaml --output runs/omniglot-headline --resume
	$(BIN)/python benchmarks/headline.py runs/omniglot-headline --json runs/omniglot-headline/headline.json

.PHONY: test
test: setup ## Run all tests; CLUSTER=<kubeconfig> uses an existing cluster
	@scripts/setup.sh browser
	@scripts/setup.sh prometheus
	@$(if $(CLUSTER),,scripts/setup.sh cluster)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(if $(CLUSTER),--cluster "$(CLUSTER)") $(PYTEST_ARGS)

.PHONY: cluster
cluster: setup ## Start a Kubernetes cluster with the operator on this machine (Debian, as root)
	@scripts/setup.sh cluster
	@$(BIN)/python -m devcluster up

.PHONY: cluster-down
cluster-down: setup ## Stop the cluster that make cluster has started
	@$(BIN)/python -m devcluster down

.PHONY: images
images: setup ## Build the images of operator and trainer for make cluster (Debian, as root)
	@scripts/setup.sh cluster
	@$(BIN)/python -m devcluster build

.PHONY: check
check: setup ## Check format, lint, types, import contracts and generated files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy benchmarks devcluster monitoring
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate.py --check

.PHONY: generate
generate: setup ## Write the generated files: references, CRDs, alerts, runbooks, dashboards, the table of values
	$(BIN)/python scripts/generate.py

.PHONY: pictures
pictures: setup ## Draw the dashboards with the metrics of simulated searches, for docs/images/
	@scripts/setup.sh browser
	@scripts/setup.sh prometheus
	$(BIN)/python scripts/dashboard_pictures.py

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: setup ## Run the benchmarks behind the figures in docs/, which takes minutes
	$(BIN)/python benchmarks/trainer_speed.py
	$(BIN)/python benchmarks/surrogate_speed.py
	$(BIN)/python benchmarks/search_quality.py
	$(BIN)/python benchmarks/busy_share.py
	$(BIN)/python benchmarks/early_rounds.py
	$(BIN)/python benchmarks/remaining.py
	$(BIN)/python benchmarks/metrics_cost.py

.PHONY: detection
detection: setup ## Show which alert tells of which fault, in virtual time, and write docs/detection.md
	@scripts/setup.sh prometheus
	$(BIN)/python benchmarks/detection.py --json benchmarks/results/detection.json --docs docs/detection.md

.PHONY: detection-on-nodes
detection-on-nodes: setup ## Show which alert tells of real faults on a cluster of two nodes (Debian, as root; half an hour)
	@scripts/setup.sh prometheus
	@scripts/setup.sh cluster
	$(BIN)/python benchmarks/detection_on_nodes.py --json benchmarks/results/detection_on_nodes.json

.PHONY: reliability
reliability: setup ## Let faults happen to an operator on a real API server, half an hour, and write docs/reliability.md
	@scripts/setup.sh cluster
	$(BIN)/python benchmarks/reliability.py --json benchmarks/results/reliability.json --docs docs/reliability.md

.PHONY: bench-learners
bench-learners: setup ## Run the benchmarks behind the figures in docs/learners.md, which takes hours
	$(BIN)/python benchmarks/learner_memory.py
	$(BIN)/python benchmarks/learner_ranking.py
	$(BIN)/python benchmarks/learners.py --seconds 30 120
	$(BIN)/python benchmarks/learners.py --seconds 600 --seeds 0

.PHONY: clean
clean: ## Remove what was installed and built here; results stay
	rm -rf $(VENV) .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
