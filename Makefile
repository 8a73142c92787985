# `make demo` and `make test` do all their own set-up: Python 3.11 or newer, git and make are enough.
# PYTHON=/path/to/python chooses the interpreter; without it the usual names are tried.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs tutorials fuzz bench setup-latest test-latest clean

VENV := .venv
RUN := $(VENV)/bin/python
LATEST := .venv-latest
# An environment is renewed when what it was made from changes, and only then.
RECIPE := pyproject.toml tools/venv.sh $(wildcard constraints/*.txt)

# Nothing here opens a window.
export MPLBACKEND := Agg

# One worker of pytest for each core, and one thread for each worker: more of them wait for each other. numba is named
# because its first parallel function sets the threads of everything else.
ONE_THREAD := env OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed-demo  ## run examples/quickstart.py on real blood cells
	@echo "Running examples/quickstart.py ..."
	@$(RUN) examples/quickstart.py

test: $(VENV)/.installed-test  ## run the test suite (with ACE_DATA_DIR set, on real data too)
	@echo "Running the tests ..."
	@$(ONE_THREAD) $(RUN) -m pytest -n auto $(ARGS)

lint: $(VENV)/.installed-lint  ## ruff, mypy and the directions of imports
	@echo "Checking style ..."
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@echo "Checking types ..."
	@$(RUN) -m mypy
	@echo "Checking that imports go one way ..."
	@$(VENV)/bin/lint-imports

TUTORIALS := $(patsubst tutorials/%.md,docs/tutorials/%.ipynb,$(wildcard tutorials/*.md))

# Threads that sleep while they wait for each other: spinning ones keep the core from the one they wait for.
SLEEPING_THREADS := env OMP_WAIT_POLICY=passive

tutorials: $(TUTORIALS)  ## execute the tutorials

docs/tutorials/%.ipynb: tutorials/%.md $(shell find src -name '*.py') | $(VENV)/.installed-docs
	@echo "Executing $< ..."
	@mkdir -p $(@D)
	@MPLBACKEND=module://matplotlib_inline.backend_inline $(SLEEPING_THREADS) $(RUN) -m jupytext --quiet --to ipynb --set-kernel python3 --execute --output $@ $<

docs: $(VENV)/.installed-docs tutorials  ## build the documentation into docs/_build/html
	@echo "Building the documentation ..."
	@$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

fuzz: $(VENV)/.installed-test  ## call everything with odd input, 2000 times (ARGS="--seed 1" for others)
	@echo "Calling everything with odd input ..."
	@$(ONE_THREAD) $(RUN) -m tests.fuzz --n 2000 $(ARGS)

bench: $(VENV)/.installed-bench  ## run the benchmarks (a small form of them; ARGS= for all, some hours)
	@echo "Running the benchmarks ..."
	@$(RUN) -m benchmarks run $(ARGS)

bench: ARGS = --quick

setup-latest: $(LATEST)/.installed-test

test-latest: setup-latest  ## run the test suite with the newest releases (needs Python 3.12 or newer)
	@echo "Running the tests with the newest releases ..."
	@$(ONE_THREAD) $(LATEST)/bin/python -m pytest -n auto $(ARGS)

clean:  ## remove the environments and everything that was made
	rm -rf $(VENV) $(LATEST) docs/_build docs/tutorials docs/generated quickstart_output

$(VENV)/.installed-demo: $(RECIPE)
	@sh tools/venv.sh $(VENV) 3.11
	@touch $@

$(VENV)/.installed-bench: $(RECIPE)
	@sh tools/venv.sh $(VENV) 3.11 +benchmarks
	@touch $@

$(VENV)/.installed-%: $(RECIPE)
	@sh tools/venv.sh $(VENV) 3.11 $*
	@touch $@

$(LATEST)/.installed-%: $(RECIPE)
	@sh tools/venv.sh $(LATEST) 3.12 $*
	@touch $@
