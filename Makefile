# Everything a person types; .ci/run types `make test` too. Needs Python 3.11+, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
TIER ?= 1
WORKERS ?= 2
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help install run test check demo bench chaos clean
.DEFAULT_GOAL := help

help:  ## Show this page
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 10

install: .venv/.installed  ## Make .venv with everything that running needs

# torch first and pinned: left to the others, pip takes a build with gigabytes of CUDA.
.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --progress-bar off --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --progress-bar off --disable-pip-version-check --editable .
	@touch $@

.venv/.tests: .venv/.installed
	$(BIN)/pip install --quiet --progress-bar off --disable-pip-version-check --editable '.[test]'
	@touch $@

run: .venv/.installed  ## Open the web chat on http://127.0.0.1:7860, with the guides as a sample library
	@$(BIN)/nightjar serve --sample docs

test: check  ## Format, lint, types and tests; all that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not chaos and not slow"

check: .venv/.tests  ## Format, lint, the order of packages, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

demo: .venv/.installed  ## The whole loop in one terminal page; TIER=3 shows the long night
	@$(BIN)/nightjar demo --tier $(TIER)

bench: .venv/.tests  ## Our parts beside what a user would pick instead
	$(BIN)/nightjar bench lexical

chaos: .venv/.tests  ## Tests that kill processes, and the long ones
	ulimit -f 4194304; $(BIN)/python -m pytest -m "chaos or slow"

clean:  ## Remove what `make` made, not your data
	rm -rf .venv .demo .mypy_cache .ruff_cache *.egg-info
