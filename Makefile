# Everything a fresh machine needs: Python 3.11 or newer (with venv), gcc and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
DATA ?= demo-output
DEMO ?=
STUDY ?= study-output
CANDIDATES := python3.11 python3.12 python3.13 python3
VERSION_TEST := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(VERSION_TEST)' >/dev/null 2>&1 && echo $$p && break; done)
BOUNDS_CACHE := $(VENV)/numba-bounds
# processes that run tests side by side; a file stays in one, with its fixtures
WORKERS ?= 2
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile

.PHONY: help install demo test check kernels bench soak study docs screenshots lock \
	openapi licences release audit image-check clean

help: ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv was found;" \
		"install one (Debian: apt-get install python3 python3-venv) or say" \
		"make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	$(BIN)/python -m her2sr_proc.live --warm
	$(BIN)/python -m simulators.warm
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev,cluster]'
	touch $@

install: $(VENV)/.installed ## .venv with the locked versions, kernels compiled

demo: $(VENV)/.installed ## a simulated slide in, a HER2 answer out (DEMO='--seed 2')
	$(BIN)/her2sr demo --out $(DATA) $(DEMO)

test: $(VENV)/.installed-dev kernels ## the whole test suite
	$(PYTEST) tests

check: $(VENV)/.installed-dev ## format, lint, types, import contracts, quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) tests/unit tests/kernels

kernels: $(VENV)/.installed-dev ## the kernel tests interpreted, and with bounds checked
	NUMBA_DISABLE_JIT=1 $(PYTEST) tests/kernels
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(BOUNDS_CACHE) $(PYTEST) \
		--timeout 600 tests/kernels

bench: $(VENV)/.installed-dev ## speeds and accuracies, printed: hours
	@status=0; for script in tests/bench/bench_*.py; do \
		echo "== $$script"; $(BIN)/python $$script || status=1; \
	done; \
	echo "== her2sr bench pipeline"; $(BIN)/her2sr bench pipeline --lit-before 36 || status=1; \
	exit $$status

study: $(VENV)/.installed-dev ## the paper's study in silico, and studies of counts: 45 min and more
	@status=0; $(BIN)/her2sr study --out $(STUDY) || status=1; \
	for script in count_level study_paper_table2; do \
		echo "== tests/study/$$script.py"; \
		$(BIN)/python tests/study/$$script.py || status=1; \
	done; exit $$status

soak: $(VENV)/.installed-dev ## a field in real time, 200 kill trials, a night of a million frames: 60 min
	@status=0; for script in real_field kill_trials night; do \
		echo "== tests/soak/$$script.py"; \
		$(BIN)/python tests/soak/$$script.py || status=1; \
	done; exit $$status

docs: $(VENV)/.installed-dev ## the documentation as pages, under site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: $(VENV)/.installed-dev ## the pictures of the documentation, from the pages
	HER2SR_SCREENSHOTS=docs/images $(BIN)/pytest tests/browser

lock: $(VENV)/.installed-dev ## write requirements.lock from what is installed
	$(BIN)/python tools/lock.py

openapi: $(VENV)/.installed ## write docs/openapi.json and docs/asyncapi.json from the code
	$(BIN)/python tools/openapi.py
	$(BIN)/python tools/asyncapi.py

licences: $(VENV)/.installed-dev ## write docs/licences.md from the packages installed
	$(BIN)/python tools/licences.py

$(VENV)/.installed-release: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[release]'
	touch $@

release: $(VENV)/.installed-release ## wheel, sdist and list of parts into dist/, checked in a fresh environment
	rm -rf dist
	$(BIN)/python tools/build.py dist
	$(BIN)/python tools/release_check.py dist/*.whl --parts dist/her2sr.cdx.json

audit: $(VENV)/.installed-release ## known vulnerabilities of the locked versions; needs PyPI itself
	$(BIN)/python tools/audit.py

image-check: $(VENV)/.installed-dev ## the image's steps in a fresh Debian root, a run through it; root, 7 to 15 min
	$(BIN)/python tests/soak/image_steps.py

clean: ## remove what was built, never data
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis
