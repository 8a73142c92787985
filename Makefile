# `make demo` and `make test` install everything that they need; Python 3.11 or newer, git and make are required.
# PYTHON=/path/to/python selects the interpreter; by default, the usual names are tried.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs tutorials fuzz bench setup-latest test-latest clean

VENV := .venv
RUN := $(VENV)/bin/python
LATEST := .venv-latest
# The virtual environments are updated if one of these files changes.
RECIPE := pyproject.toml tools/venv.sh $(wildcard constraints/*.txt)

# Draw figures without opening windows.
export MPLBACKEND := Agg

# One pytest worker per core and one thread per worker, because more threads would compete for the cores. numba needs
# its own variable: its first parallel function sets the number of threads of all libraries.
ONE_THREAD := env OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(VENV)/.installed-demo  ## run examples/quickstart.py on real blood cells
	@echo "Running examples/quickstart.py ..."
	@$(RUN) examples/quickstart.py

test: $(VENV)/.installed-test  ## run the test suite (with ACE_DATA_DIR set, on real data too)
	@echo "Running the tests ..."
	@$(ONE_THREAD) $(RUN) -m pytest -n auto $(ARGS)

lint: $(VENV)/.installed-lint  ## run ruff, mypy and import-linter
	@echo "Checking style ..."
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@echo "Checking types ..."
	@$(RUN) -m mypy
	@echo "Checking the directions of imports ..."
	@$(VENV)/bin/lint-imports

TUTORIALS := $(patsubst tutorials/%.md,docs/tutorials/%.ipynb,$(wildcard tutorials/*.md))

# Idle OpenMP threads sleep instead of spinning, so that they do not take the core from the thread they wait for.
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

fuzz: $(VENV)/.installed-test  ## run 2000 random calls with unusual inputs (ARGS="--seed 1" for others)
	@echo "Running random calls with unusual inputs ..."
	@$(ONE_THREAD) $(RUN) -m tests.fuzz --n 2000 $(ARGS)

bench: $(VENV)/.installed-bench  ## run a small version of the benchmarks (ARGS= runs all, which takes hours)
	@echo "Running the benchmarks ..."
	@$(RUN) -m benchmarks run $(ARGS)

bench: ARGS = --quick

setup-latest: $(LATEST)/.installed-test

test-latest: setup-latest  ## run the test suite with the newest releases (needs Python 3.12 or newer)
	@echo "Running the tests with the newest releases ..."
	@$(ONE_THREAD) $(LATEST)/bin/python -m pytest -n auto $(ARGS)

clean:  ## remove the environments and all generated files
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
