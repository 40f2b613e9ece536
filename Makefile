# Every target makes and reuses its own .venv. Without make: README.md gives the plain lines.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MINUTES ?= 10
SEED ?=

.PHONY: demo test lint soak mutants schema sandbox clean

demo: $(READY)
	$(BIN)/python -m sandbox.demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=scripts $(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/vulture

# The tests that `make test` leaves out; every constant changed by the smallest step, which a test must notice; then
# random series of faults, kills and edits. SEED=4711 runs one series again, and nothing else.
soak: $(READY)
	$(if $(SEED),,$(BIN)/python -m pytest -m soak)
	$(if $(SEED),,$(BIN)/python tests/soak/mutate_constants.py)
	$(BIN)/python tests/soak/run.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# Small changes that break a promise each: a test must notice every one. The outcomes are kept in .mutants.jsonl, so that
# only what has changed since runs again.
mutants: $(READY)
	$(BIN)/python tests/mutants/run.py

# Write the JSON Schema of a flow config from its model.
schema: $(READY)
	PYTHONPATH=scripts $(BIN)/python -c "from helpers.deploy import config, model; config.SCHEMA_FILE.write_text(model.schema_text())"

sandbox: $(READY)
	$(BIN)/python -m sandbox

$(READY): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt -c constraints.txt
	@touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
