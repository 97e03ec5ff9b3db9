# Every command of the project. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-system demo up test lint check docs docs-site chaos many-machines soak fuzz callers bench clean

BIN := .venv/bin
GENERATED := $(shell grep -rls '\[\[\[cog' README.md docs prefect.yaml --include='*.md' --include=prefect.yaml)

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: ## Install all that is missing into .venv: no root, no question
	@scripts/bootstrap

setup-system: setup ## Install the browser, PostgreSQL and tesseract some tests use (root on Debian)
	@scripts/system-packages

demo: setup ## Take the sample documents through Papertray, from nothing to results
	@$(BIN)/papertray demo

up: setup ## Run Papertray on this machine until Ctrl-C
	@$(BIN)/papertray up

test: setup setup-system check ## Check everything, then run the whole test suite
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

lint: setup docs ## Repair what can be repaired: imports, formatting, generated docs
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

check: setup ## Verify formatting, style, types, the direction of imports and the docs
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/python -m scripts.schemas --check
ifneq ($(GENERATED),)
	$(BIN)/cog -P -I . --check --diff $(GENERATED)
endif

docs: setup ## Write the generated parts of README.md and docs/ anew
	@$(BIN)/python -m scripts.schemas
ifneq ($(GENERATED),)
	$(BIN)/cog -P -I . -r $(GENERATED)
endif

docs-site: setup ## Build the documentation into site/; a warning is an error
	@scripts/bootstrap --uv run --locked --inexact --group docs zensical build --strict

many-machines: setup setup-system ## Start all parts apart (PostgreSQL, Redis, S3), kill some, lose nothing
	$(BIN)/python -m pytest tests/e2e/many_machines.py

chaos: setup setup-system ## Kill everything at random while 2,000 documents go through
	PAPERTRAY_KILL_EACH_COMMAND=1 PAPERTRAY_AWAY_SECONDS=60 $(BIN)/python -m pytest -s tests/e2e/test_postgres_kill.py tests/e2e/test_postgres.py -k "killed or papertray_and_prefect"
	PAPERTRAY_STORE_TASKS=$${PAPERTRAY_STORE_TASKS:-5000} $(BIN)/python -m pytest -s tests/unit/flows/test_store_chaos.py
	PAPERTRAY_CHAOS_DOCUMENTS=$${PAPERTRAY_CHAOS_DOCUMENTS:-2000} $(BIN)/python -m pytest -s tests/e2e/test_chaos.py

soak: setup setup-system ## Take documents through for two hours; nothing may grow
	PAPERTRAY_SOAK_MINUTES=$${PAPERTRAY_SOAK_MINUTES:-120} $(BIN)/python -m pytest -s tests/e2e/soak.py

fuzz: setup ## Have a fuzzer try our parsers, each for a minute
	@scripts/bootstrap --uv run --locked --inexact --group fuzz python -m tests.fuzz

callers: setup ## Have random callers drive the five surfaces at once, for ten minutes
	PAPERTRAY_SURFACE_EXAMPLES=$${PAPERTRAY_SURFACE_EXAMPLES:-300} \
	PAPERTRAY_SURFACE_STEPS=$${PAPERTRAY_SURFACE_STEPS:-40} \
	$(BIN)/python -m pytest --timeout 0 tests/properties/test_five_surfaces.py

bench: setup ## Run the benchmarks; each prints both sides and the ratio
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean: ## Remove everything that can be made again
	rm -rf .venv .tools .cache site .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist demo-output .coverage*
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
