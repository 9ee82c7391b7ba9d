# `make run` on a bare machine with Python 3.11: environment, data, both frameworks, report; all of it in ignored folders.
VENV := .venv
ifeq ($(OS),Windows_NT)
PYTHON ?= py -3.11
BIN := $(VENV)/Scripts
else
PYTHON ?= python3.11
BIN := $(VENV)/bin
endif
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help install run needs report demo test test-fast check lint types imports format audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## .venv with the pinned requirements

run: needs install ## get MNIST, train the default networks, and one in both frameworks; compare, in runs/
	$(BIN)/python pytorch.py --results runs
	$(BIN)/python tf.py --results runs
	$(BIN)/python pytorch.py --model speedrun --results runs
	$(BIN)/python tf.py --model speedrun --results runs
	$(BIN)/python -m common.report --results runs

needs:
	@echo "make run needs up to 12 GB of disk on Linux: 8 for both frameworks in $(VENV), the rest for pip's cache."
	@echo "It takes some minutes to download them, the first time, and one or two for four short runs."
	@echo "Rows, report and pictures go to runs/, which git ignores; no file of the repository is changed."

report: install ## tables into README.md and benchmarks.md, figures into results/plots
	$(BIN)/python -m common.report

demo: install ## a page to draw digits on, which both frameworks classify
	$(BIN)/python -m common.demo

# Most tests wait for processes of one framework: two at once use both cores. A file's tests stay together, as they
# share such processes.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(INSTALLED_DEV) ## the whole test suite, some minutes
	$(PYTEST)

test-fast: $(INSTALLED_DEV) ## the tests without training, browser, cluster, downloads or kills
	$(PYTEST) -m "not slow and not browser and not cluster and not network"

check: lint types imports ## format, lint, types and which package imports which

lint: $(INSTALLED_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(INSTALLED_DEV)
	$(BIN)/mypy

imports: $(INSTALLED_DEV)
	$(BIN)/lint-imports

format: $(INSTALLED_DEV) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

audit: $(INSTALLED_DEV) ## known vulnerabilities of the pinned packages
	$(BIN)/python -m pip_audit --strict --no-deps --disable-pip --requirement requirements.txt --requirement requirements-dev.txt

clean: ## remove .venv and caches, not results or data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the pinned requirements into $(VENV): about 8 GB, a few minutes, the first time."
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
