# One word per chore, the same for people and CI. Every target makes the environment it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test test-slow lint format bench serve docs-check lock clean help

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: ## make .venv from nothing, or find it ready
	@$(PYTHON) scripts/setup.py

demo: setup ## the main job on the sample domain
	@$(BIN)/tandem demo

test: setup ## everything but the slow tests
	@$(BIN)/python -m pytest -m "not slow"

test-slow: setup ## the slow tests
	@$(BIN)/python -m pytest -m slow

lint: setup ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## let ruff write
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## all benchmarks
	@$(BIN)/python -m benchmarks

serve: setup ## gateway and engine for the sample domain
	@$(BIN)/tandem serve --config examples/helpdesk/tandem.yaml

docs-check: setup ## every command in the documentation exists
	@$(BIN)/python scripts/docs_check.py

lock: setup ## renew the locks in requirements/
	@$(BIN)/python scripts/lock.py

clean: ## remove caches and the environment; workspaces stay
	@rm -rf .venv .venv.lock .venv-setup.log .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
