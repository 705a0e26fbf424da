# `make` alone lists what there is to make.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-bench demo check test test-kernel bench clean

bin := .venv/bin

help: ## list these
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Debian packages and .venv; quick when nothing is missing
	@tools/setup

setup-bench: ## the same, and what the benchmarks compare with
	@tools/setup --bench

demo: setup ## the README's session: a server dies and comes back, and no client notices
	@tools/demo

check: setup ## ruff, mypy, import-linter
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy --strict -p fdstorefs
	$(bin)/lint-imports --no-logo

test: setup check ## the checks, then every test
	$(bin)/python -m pytest -n auto tests/unit
	$(bin)/python -m pytest -n auto tests/mount
	@tools/test-kernel

test-kernel: setup ## tests/kernel in virtual machines; KERNEL=6.1, 6.12, 7.2 or systemd is one of them
	@tools/test-kernel $(KERNEL)

bench: setup-bench ## measure, and write benchmarks/results/
	$(bin)/python -m benchmarks

clean: ## remove what building and testing left behind; .venv stays
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +
