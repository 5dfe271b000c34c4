# `make demo` and `make test` do all the set-up on a machine with only Python 3.10+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN_DIR ?= runs/demo
# Which tests `make test` runs.
MARKERS ?= not slow and not gpu

.PHONY: demo test test-slow lint setup clean

demo: $(READY)
	$(BIN)/bench run --preset demo --out $(RUN_DIR)

test: $(READY) lint
	$(BIN)/python -m pytest -m "$(MARKERS)"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy bench methods datasets

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or newer is needed; say which one: make PYTHON=python3.11"; exit 1; }
	@echo "Installing into $(VENV): about 4 minutes and 6.5 GB, once."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
