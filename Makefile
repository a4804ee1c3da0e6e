# Every target but `setup` needs only Python 3.11 or newer and make; it runs `setup` first where that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV = "$$(command -v uv || echo $(BIN)/uv)"
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help setup lint test demo up bench prove lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv/ with everything of requirements.lock

# Hashes are required, nothing is resolved anew, and the package is built with the locked build tools. Bytecode is compiled once
# here: where a machine does not keep it, every process that starts would compile all libraries anew.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Xinqiao needs Python 3.11 or newer, and $(PYTHON) is %d.%d: say which one to use, such as make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	command -v uv >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes --requirement requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lint: setup ## Import contracts, style and types
	$(BIN)/lint-imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Most tests wait for processes and the disk, so more of them than cores go on at once; those of a file stay together.
test: lint ## Quick checks first, then every test (ARGS= goes to pytest)
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(ARGS)

demo: setup ## Node, office and bank on this machine, and the whole main job
	$(BIN)/xinqiao demo $(ARGS)

up: setup ## Start the services and leave them running
	$(BIN)/xinqiao up $(ARGS)

# What stands on make's command line (SUBJECTS=, ROWS=, BYTES= …) reaches the benchmark through the environment.
bench: setup ## Run benchmark NAME=…; without a name, list them
	$(BIN)/python -m benchmarks $(NAME)

prove: setup ## Run attack NAME=… (or all) at its full count, into docs/evidence/
	$(BIN)/python -m tests.attacks.prove $(NAME)

lock: setup ## Write requirements.lock anew from pyproject.toml (ARGS=--upgrade for newer versions)
	$(UV) pip compile pyproject.toml --group dev --extra node --extra office --extra bank --extra desk --extra binning --extra export --extra cluster --extra paillier --extra console --extra private-model --python-version 3.11 --universal --generate-hashes --no-emit-index-url -o requirements.lock $(ARGS)

clean: ## Remove the environment, caches and what the demo wrote
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist var demo-out
