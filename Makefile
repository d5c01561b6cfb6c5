# AlterLab's commands.  `make run` opens the lab, `make test` checks everything; both prepare what they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off
# pip says one short line for each library, so that a long installation is seen to go on.
QUIETLY := sed -un -e 's/^Collecting \([A-Za-z0-9._-]*\).*/  \1/p' -e 's/^Installing collected.*/  unpacking .../p'

.PHONY: help setup setup-dev run test lint types tests test-deps test-ray test-timm bench checkpoints clean

help:
	@echo "make run          open the lab in a browser (installs what is missing first)"
	@echo "make test         check everything: style, types, imports, tests"
	@echo "make test-deps    get a Chromium, Slurm and faketime for tests that need them (Debian, Ubuntu)"
	@echo "make test-ray     test jobs on a small Ray cluster (gets Ray beside the lab, 400 MB)"
	@echo "make test-timm    build and measure every net of docs/timm.md (seven minutes)"
	@echo "make setup        only install the libraries into $(VENV)"
	@echo "make bench        print how fast the lab is beside plain loops and other libraries (half an hour)"
	@echo "make checkpoints  train and measure what is missing in checkpoints/ (a day without a GPU)"
	@echo "make clean        remove caches and $(VENV); your trained nets are kept"

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

run: setup
	@$(BIN)/python -m streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT)

test: setup-dev lint types tests

lint: setup-dev
	@$(BIN)/ruff check .

types: setup-dev
	@$(BIN)/pyright --warnings --pythonpath $(BIN)/python

tests: setup-dev
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-deps: setup-dev
	@bash .ci/get-slurm
	@bash .ci/get-chromium $(BIN)/python

# Every net of docs/timm.md, built and measured.
test-timm: setup-dev
	@ALTERLAB_TEST_TIMM=1 $(BIN)/python -m pytest tests/models/test_timm_zoo.py -k whole_table

# Ray stays out of the lab's libraries, and its cluster in a network that holds nothing but this machine's loopback.
RAY := .local/ray
test-ray: setup-dev $(RAY)/.installed
	@ALTERLAB_TEST_RAY=$(CURDIR)/$(RAY)/bin/ray unshare --map-root-user --net \
	  sh -c 'ip link set lo up && exec $(BIN)/python -m pytest tests/jobs -k ray'

$(RAY)/.installed: | $(BIN)/python
	@echo "Installing Ray into $(RAY): half a minute or more, 400 MB."
	@$(BIN)/python -m venv $(RAY)
	@$(RAY)/bin/python -m pip install --disable-pip-version-check --no-input --progress-bar off "ray[default]>=2.50,<3" | $(QUIETLY)
	@touch $@

bench: setup-dev
	@status=0; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python "$$file" || status=1; done; exit $$status

# Trains, exports and measures what is missing in checkpoints/, nothing else; `$(BIN)/python .ci/ship.py --plan` lists it.
checkpoints: setup
	@$(BIN)/python .ci/ship.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A first Python among python3, 3.13, 3.12 and 3.11 that is one of these versions and can make environments.
$(BIN)/python:
	@found=""; without=""; \
	for name in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  "$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
	  if "$$name" -c 'import venv, ensurepip' 2>/dev/null; then found="$$name"; break; else without="$${without:-$$name}"; fi; \
	done; \
	if [ -z "$$found" ] && [ -n "$$without" ]; then \
	  version=$$("$$without" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "Python $$version is here, but not its venv part. On Debian or Ubuntu: sudo apt install python$$version-venv"; exit 1; \
	elif [ -z "$$found" ]; then \
	  echo "AlterLab needs Python 3.11, 3.12 or 3.13; none was found. On Debian or Ubuntu: sudo apt install python3 python3-venv"; exit 1; \
	fi; \
	"$$found" -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing the libraries into $(VENV): a few minutes and some gigabytes the first time, PyTorch most of it."
	@$(PIP) -r requirements.txt | $(QUIETLY)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the tools for the tests."
	@$(PIP) -r requirements-dev.txt | $(QUIETLY)
	@touch $@
