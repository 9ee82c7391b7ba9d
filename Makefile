# `make run` on a bare machine with Python 3.11: environment, data, both frameworks, report.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help install run report demo test check format audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## .venv with the pinned requirements

run: install ## get MNIST, train the default network in each framework, render the report
	$(BIN)/python pytorch.py
	$(BIN)/python tf.py
	$(BIN)/python -m common.report

report: install ## tables into README.md and benchmarks.md, figures into results/plots
	$(BIN)/python -m common.report

demo: install ## a page to draw digits on; both frameworks say what they are
	$(BIN)/python -m common.demo

test: $(INSTALLED_DEV) ## the whole test suite
	$(BIN)/python -m pytest

check: $(INSTALLED_DEV) ## format, lint, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED_DEV) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

audit: $(INSTALLED_DEV) ## known vulnerabilities of the pinned packages
	$(BIN)/python -m pip_audit --no-deps --disable-pip --requirement requirements.txt --requirement requirements-dev.txt

clean: ## remove .venv and caches, not results or data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.txt | $(VENV)/bin/python
	@echo "Installing the pinned requirements into $(VENV): a few minutes, the first time."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(INSTALLED_DEV): requirements-dev.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
