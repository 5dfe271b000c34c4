# `make demo` and `make test` do all the set-up on a machine with only Python 3.10+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN_DIR ?= runs/demo
# Which tests `make test` runs, and in how many processes. Many wait for Ray to start, so there are more than cores.
# CI sets MARKERS to run the long ones too, and those of faults that are slow.
MARKERS ?= not long and not slow and not gpu
WORKERS ?= 3
# Without the bytecode of modules, each process that tests start would compile all of them, and pytest rewrite all asserts.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test run-tests unit test-slow lint docs setup clean

demo: $(READY)
	$(BIN)/bench run --preset demo --out $(RUN_DIR)

# Side by side, since the first type check takes a minute of one core, and the tests that come first wait a lot.
test: $(READY)
	$(MAKE) --no-print-directory --jobs 2 lint run-tests

run-tests: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "$(MARKERS)"

unit: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not integration and not slow and not gpu"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy bench methods datasets
	$(BIN)/mypy --explicit-package-bases tests

# Pages keep the relative links that they have in the repository: the site mirrors its folders.
docs: $(READY)
	rm -rf build/pages && mkdir -p build/pages
	git ls-files README.md CONTRIBUTING.md CHANGELOG.md LICENSE docs examples benchmarks/README.md 'results/*.md' results/figures \
		| xargs cp --parents --target-directory build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

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
