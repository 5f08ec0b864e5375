# make demo, make test, make check; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
APPS := advertmarket accounts payments channels deals notifications ops
CODE := $(APPS) deploy sandbox tests manage.py
RUSSIAN := locale/ru/LC_MESSAGES/django
OFFLINE := PROCESS_ROLE=build $(BIN)/python manage.py
WITH_SERVICES := $(BIN)/python -m sandbox.services run --
DRILLS := $(BIN)/python -m sandbox.drills

.DEFAULT_GOAL := help
.PHONY: help install messages translations demo test test-crash test-thorough test-money mutants random-money test-kafka test-ops drill drills check format lock

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

install: $(STAMP) ## make the environment

$(RUSSIAN).mo: $(RUSSIAN).po $(STAMP)
	$(BIN)/pybabel -q compile -d locale -D django

messages: $(RUSSIAN).mo ## compile the translations

translations: install ## add newly marked strings to the translations
	mkdir -p var
	$(BIN)/pybabel -q extract -k gettext_lazy --no-location -o var/django.pot $(APPS)
	$(BIN)/pybabel -q update -i var/django.pot -d locale -D django -w 100 \
		--no-fuzzy-matching --ignore-obsolete

demo: install messages ## five deals on embedded services, then stay up (ONCE=1: end after them)
	@$(BIN)/python -m sandbox.demo $(if $(ONCE),--once)

test: install messages ## the tests, on embedded services
	$(WITH_SERVICES) $(BIN)/pytest -n 2

test-crash: install messages ## what takes minutes: a process dies at every line that handles money, a thousand payouts are paused
	$(WITH_SERVICES) $(BIN)/pytest -n 2 -m slow

test-thorough: install messages ## what takes seconds: every way of money on the chain, crashes, brokers that fail
	$(WITH_SERVICES) $(BIN)/pytest -n 2 -m "thorough and not slow"

test-money: test-thorough mutants random-money ## every way of money, planted faults, MONEY_SECONDS (600) at random

mutants: install messages ## plant faults in the handling of money: the tests must find each
	$(WITH_SERVICES) $(BIN)/python -m tests.mutants

random-money: install messages ## money at random: MONEY_SECONDS (600) long, or MONEY_SEED again
	rm -rf var/money
	$(WITH_SERVICES) $(BIN)/pytest -n 2 -m money tests/payments/model; \
		failed=$$?; $(BIN)/python -m tests.payments.model.tally && exit $$failed

test-kafka: install messages ## messages and one deal against a real Apache Kafka
	$(WITH_SERVICES) $(BIN)/python -m sandbox.kafka run -- $(BIN)/pytest -m kafka

test-ops: install messages ## rules and dashboards by promtool (.ci/promtool finds or fetches it), and the ten drills
	.ci/promtool --version
	$(WITH_SERVICES) $(BIN)/pytest -n 2 -m "not slow" tests/deploy tests/ops/metrics
	$(DRILLS) || [ $$? = 77 ]

drill: install messages ## one of the runbook's ten failures (N=1 to 10), caused for real, seen, mended and proved
	@$(if $(N),$(DRILLS) $(N),echo "which one? make drill N=1" && false)

drills: install messages ## all ten, one after another
	@$(DRILLS)

check: install ## types, lint, format, import contracts, migrations, schema, rules, locks, audit
	$(BIN)/ruff check -q $(CODE)
	$(BIN)/ruff format -q --check $(CODE)
	PROCESS_ROLE=build $(BIN)/mypy $(CODE)
	PROCESS_ROLE=build $(BIN)/lint-imports
	$(OFFLINE) makemigrations --check --dry-run
	DJANGO_SECRET_KEY=$$($(BIN)/python -c "import secrets; print(secrets.token_urlsafe(48))") \
		$(OFFLINE) check --deploy --fail-level WARNING
	mkdir -p var
	$(OFFLINE) spectacular --validate --fail-on-warn --file var/schema.yml
	.ci/promtool check rules deploy/prometheus/rules/*.yml || [ $$? = 77 ]
	.ci/lock-check || [ $$? = 77 ]
	.ci/audit

format: install ## rewrite the code in the house's format
	$(BIN)/ruff check --fix-only -q $(CODE)
	$(BIN)/ruff format -q $(CODE)

lock: install ## renew the lock files from pyproject.toml
	.ci/lock .
