# Everything runs in .venv, which is made when missing and brought up to date when pyproject.toml changes.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
RELEASES = $(shell $(BIN)/python -c "from linked_asset import immich; print(*immich.RELEASES)")
# What differs most between Immich's releases, and the releases that it is tested on each time.
CORE := $(addprefix tests/linked/test_,clone_rows.py sync.py albums.py people.py)
CHOSEN := v2.3.0 v2.6.0 v3.3.0

.PHONY: help demo test test-all test-pg14 e2e docs dist lint bench bench-quick golden clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       a family with four accounts, linked before your eyes (needs no Immich, no Docker)"
	@echo "make test       tests on a real PostgreSQL, about a quarter of an hour"
	@echo "make test-all   all tests, the slow ones too, then the behaviour on every release of Immich, then all once more on PostgreSQL 14"
	@echo "make test-pg14  tests on PostgreSQL 14, what Immich's own image runs"
	@echo "make docs       the documentation as a site: build/docs"
	@echo "make e2e        watches a running Immich through its API (IMMICH_URL, ..., see tests/e2e/target.py)"
	@echo "make lint       ruff, mypy, the image, dead links in the documentation"
	@echo "make bench-quick  what several writers cost each other, in two minutes"
	@echo "make bench      what the addon costs, and how that grows with the rows"
	@echo "make dist       wheel and sdist, in dist"
	@echo "make golden     writes down anew what each revision runs (tests/golden)"
	@echo "make clean      removes $(VENV) and everything built"

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	touch $@

demo: $(READY)
	$(BIN)/python -m sample.demo

test: $(READY)
	$(PYTEST) -n $(WORKERS) -m 'not slow'
	for release in $(CHOSEN); do TEST_IMMICH=$$release $(PYTEST) -q -n $(WORKERS) -m 'not slow' $(CORE) || exit 1; done

test-all: $(READY)
	LIFE_EXAMPLES=60 $(PYTEST) -n $(WORKERS) --neighbours
	for release in $(filter-out $(firstword $(RELEASES)),$(RELEASES)); do TEST_IMMICH=$$release $(PYTEST) -q -n $(WORKERS) -m 'not slow' tests/linked || exit 1; done
	$(MAKE) test-pg14

test-pg14: $(READY)
	TEST_POSTGRES_BIN="$$($(BIN)/python -m sample.pg14)" && export TEST_POSTGRES_BIN && $(PYTEST) -n $(WORKERS) -m 'not packaging'

e2e: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,e2e]'
	$(PYTEST) tests/e2e

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet --site-dir build/docs

lint: $(READY) docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile

dist: $(READY)
	$(BIN)/python -m build --no-isolation --outdir dist

bench: $(READY)
	$(BIN)/python -m benchmarks

bench-quick: $(READY)
	$(BIN)/python -m benchmarks.writers 2

golden: $(READY)
	$(BIN)/python -m tests.golden

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
