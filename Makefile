# Every developer verb. `make demo` and `make test` do all the set-up that they need.
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help install demo test check chaos fuzz reference bench lock clean

help: ## list these verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: .venv/.installed ## build .venv from the locked requirements

.venv/.installed: requirements/build.txt requirements/dev.txt pyproject.toml scripts/install
	@scripts/install

demo: install ## train on scikit-learn's digits with four workers, then predict
	@scripts/demo

test: check ## everything that must pass before a change lands
	@$(PYTEST) -n 2 --dist loadfile --cov --cov-report=json
	@$(BIN)/python scripts/coverage-gate

check: install ## lint, format, import contracts and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/mypy

chaos: install ## play N seeded schedules of faults (60), or one of them again: SEED=17
	@$(BIN)/python tests/chaos/chaos.py $(if $(SEED),--first $(SEED) --schedules 1,--schedules $(or $(N),60))

fuzz: install ## fuzz every reader and requests with N inputs (10000), or one of them again: REPLAY=csv:17
	@$(BIN)/python tests/fuzz/campaign.py --inputs $(or $(N),10000) --seed $(or $(SEED),0) \
		$(if $(ONLY),--only $(ONLY)) $(if $(REPLAY),--replay $(REPLAY))

reference: install ## render docs/reference and the SDK's options from the schema
	@$(BIN)/python -m whisktrain.cli.reference

bench: install ## measure, as ratios against the alternatives
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: install ## compile the locked requirements anew
	@scripts/lock

clean: ## remove .venv and caches
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .coverage* dist
