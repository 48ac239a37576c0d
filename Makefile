# Two commands for a newcomer: `make serve` and `make test`. Everything happens in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000

.PHONY: serve test test-quick lint types bench docs fuzz soak clean help

help:
	@echo "make serve   install into $(VENV) and serve the showcase on http://127.0.0.1:$(PORT)"
	@echo "make test    run all tests: both twins, every event loop and transport"
	@echo "make lint    ruff and the shape of the code    make types   mypy --strict"
	@echo "make bench   measure against other servers     make docs    build the documentation"
	@echo "make fuzz    fuzz the parsers for a minute      make soak    serve hard for some minutes"

$(BIN)/python:
	@echo "making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.served: $(BIN)/python pyproject.toml setup.py
	@echo "installing pagi (compiles its fast parts where there is a C compiler) …"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.developed: $(VENV)/.served
	@echo "installing what the tests need …"
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

serve: $(VENV)/.served
	@$(BIN)/pagi run examples/showcase/app.py --port $(PORT)

# The compiled twins are built anew where a source is newer than its extension.
test: $(VENV)/.developed
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m tests.matrix

test-quick: $(VENV)/.developed
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m tests.matrix --quick

lint: $(VENV)/.developed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m pytest -q tests/layers

types: $(VENV)/.developed
	@$(BIN)/mypy

bench: $(VENV)/.developed
	@$(BIN)/python -m pip install --quiet --group bench
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m benchmarks $(BENCH)

docs: $(VENV)/.developed
	@$(BIN)/python -m pip install --quiet --group docs
	@$(BIN)/python docs/build_settings.py --check
	@$(BIN)/python docs/build_interface.py --check
	@$(BIN)/mkdocs build --strict --quiet

fuzz: $(VENV)/.developed
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m fuzz.http1 --seconds $(or $(SECONDS),60)

# SOAK takes more options: make soak SECONDS=60 SOAK="--workers 2 --pure"
soak: $(VENV)/.developed
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),300) $(SOAK)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name '*.so' -path './src/*' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
