# One environment in .venv, made from the locks by plain pip; nothing is downloaded while they stand still.
# .venv/.demo holds the run-time lock, .venv/.dev adds the tools. A changed lock or pyproject installs again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
WORKERS ?= auto
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --group build --generate-hashes --universal \
	--python-version 3.11 --no-header --no-annotate --quiet

# Installing the project rewrites its metadata, so it is one recipe for both stamps.
INSTALL_PROJECT = $(PIP) install --no-deps --no-build-isolation --editable .

.PHONY: help demo test lint bench deep ci-sample baseline lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: $(VENV)/.demo ## run scenarios/demo.yaml and print where its report is
	$(BIN)/twin run scenarios/demo.yaml --out reports/demo --force

test: $(VENV)/.dev ## every test but the deep ones
	$(PY) -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.dev ## style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict twin adapters
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.dev ## speed and memory as JSON lines
	$(PY) -m benchmarks

deep: $(VENV)/.dev ## every test, the long checks in full
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "" --hypothesis-profile=deep

ci-sample: $(VENV)/.dev ## the shipped scenarios against what they expect, and the drills against their baseline
	$(BIN)/twin check --workers 2 scenarios/minimal.yaml scenarios/demo.yaml
	$(BIN)/twin check scenarios/drills --against scenarios/baseline.jsonl --seeds 3 --workers 2 --inconclusive 0

baseline: $(VENV)/.dev ## keep what the drills give now, for the gate
	$(BIN)/twin check scenarios/drills --store scenarios/baseline.jsonl --seeds 6 --workers 2

lock: $(VENV)/.uv ## write both locks anew
	$(UV_COMPILE) --all-extras --output-file requirements-dev.lock
	$(UV_COMPILE) --constraint requirements-dev.lock --output-file requirements.lock

clean: ## remove the environment, caches and the demo's report
	rm -rf $(VENV) build *.egg-info reports/demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A directory whose interpreter is gone is made anew.
$(VENV)/.made:
	@python=; for name in python3.13 python3.12 python3.11 python3; do \
		if command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			python=$$name; break; fi; done; \
	[ -n "$$python" ] || { echo "make: Python 3.11 or later is needed, as python3.13, python3.12, python3.11 or python3 on the PATH" >&2; exit 1; }; \
	$$python -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $$python has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }; \
	[ -x $(PY) ] || $$python -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: requirements.lock pyproject.toml | $(VENV)/.made
	$(PIP) install --require-hashes --requirement requirements.lock
	$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.demo
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	@touch $@

# Enough to write a lock where none fits any more.
$(VENV)/.uv: | $(VENV)/.made
	[ -x $(BIN)/uv ] || $(PIP) install uv
	@touch $@
