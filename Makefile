# make demo, make test, make check; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PRODUCT := advertmarket accounts payments channels deals notifications ops
CODE := $(PRODUCT) sandbox tests manage.py

.DEFAULT_GOAL := help
.PHONY: help install demo test test-kafka check format

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

install: $(STAMP) ## make the environment

test: install ## the tests, on embedded services
	$(BIN)/python -m sandbox.services run -- $(BIN)/pytest -n 2

format: install ## rewrite the code in the house's format
	$(BIN)/ruff check --fix-only -q $(CODE)
	$(BIN)/ruff format -q $(CODE)
