# Everything runs in .venv. `make demo` is the place to start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup test verify lint types demo bench clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A Python that is named, and is not the one of .venv, makes it anew.
ifneq ($(origin PYTHON),file)
WHICH := -c 'import sys; print(sys.version)'
ifneq ($(shell $(PYTHON) $(WHICH)),$(shell $(BIN)/python $(WHICH) 2>&1))
CLEAR := --clear
$(STAMP): FORCE
endif
endif

FORCE:

setup: $(STAMP) ## put everything into .venv; of another Python: make setup PYTHON=python3.12

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Palisade needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(CLEAR) $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@# OPA's engine as a library, for tests. It asks for Python 3.14, but needs only 3.11.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --ignore-requires-python --no-deps \
		--only-binary :all: opa-golib-python-bindings==0.4.4 || echo "no OPA here: its tests will be skipped" >&2
	@touch $@

test: $(STAMP) ## run the tests; with CI=true the long ones too, and all cases of each
	@# Three on two cores, as many tests wait for an Envoy; each begins at another folder. The programs that
	@# tests start compile themselves once and not each time, whatever the machine's settings say.
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist worksteal $(if $(CI),,-m "not long")

verify: $(STAMP) ## 100,000 pairs of a policy and a request on a real Envoy, and faults put in on purpose
	PALISADE_PAIRS=100000 PALISADE_EXAMPLES=2000 $(BIN)/pytest tests/enforce/test_all_policies.py tests/testing/test_mutations.py

lint: $(STAMP) ## check style, format and the rules between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP) ## check types
	$(BIN)/mypy

demo: $(STAMP) ## run the engine, two functions and their sidecars, and watch decisions
	$(BIN)/palisade demo

bench: $(STAMP) ## measure, and print ratios against a baseline of the same run
	$(BIN)/python -m bench

clean: ## remove what setup and runs have made
	rm -rf $(VENV) .palisade build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
