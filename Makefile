# Two commands for a newcomer: `make serve` and `make test`. Everything happens in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
TWINS := $(shell find src -name '*_py.py' -o -name '*.pyx' -o -name '*.pxd')

.DEFAULT_GOAL := help
.PHONY: serve compiled test test-quick lint types bench docs fuzz soak restarts autobahn clean help

help:
	@echo "make serve   install into $(VENV) and serve the showcase on http://127.0.0.1:$(PORT)"
	@echo "make test    run all tests: both twins, every event loop and transport"
	@echo "make test-quick  the same on the fastest combination only"
	@echo "make lint    ruff and the shape of the code    make types   mypy --strict"
	@echo "make bench   measure against other servers     make docs    build the documentation"
	@echo "make fuzz    fuzz the parsers, a minute each   make soak    serve hard for five minutes"
	@echo "make restarts  a million requests across restarts: not one may be lost"
	@echo "make autobahn  the 517 cases of the Autobahn suite, if there is a Python 2.7"
	@echo "make clean   remove all that was made"
	@echo "Variables: PORT=9000, PYTHON=python3.13, SECONDS=60 (fuzz, soak)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "$(PYTHON) is not there or older than 3.11; say which to take: make PYTHON=python3.12 …"; \
	  exit 1; }
	@echo "making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade pip

# What is compiled must fit its sources, also after a pull.
$(VENV)/.served: $(BIN)/python pyproject.toml setup.py $(TWINS)
	@echo "installing pagi (compiles its fast parts where there is a C compiler) …"
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.developed: $(BIN)/python pyproject.toml setup.py
	@echo "installing pagi and what the tests need …"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

# Compiles anew what is older than its source, without the detour over pip.
compiled: $(VENV)/.developed
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $(VENV)/.served

serve: $(VENV)/.served
	@$(BIN)/pagi run examples/showcase/app.py --port $(PORT)

test: compiled
	@$(BIN)/python -m tests.matrix

test-quick: compiled
	@$(BIN)/python -m tests.matrix --quick

lint: $(VENV)/.developed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m pytest -q tests/layers

types: $(VENV)/.developed
	@$(BIN)/mypy

bench: compiled
	@$(BIN)/python -m pip install --quiet --group bench
	@$(BIN)/python -m benchmarks $(BENCH)

docs: $(VENV)/.developed
	@$(BIN)/python docs/build_settings.py --check
	@$(BIN)/python docs/build_interface.py --check
	@$(BIN)/mkdocs build --strict --quiet

fuzz: compiled
	@$(BIN)/python -m fuzz.http1 --seconds $(or $(SECONDS),60)
	@$(BIN)/python -m fuzz.http2 --seconds $(or $(SECONDS),60)
	@$(BIN)/python -m fuzz.proxy_protocol --seconds $(or $(SECONDS),60)

# SOAK takes more options: make soak SECONDS=60 SOAK="--workers 2 --pure"
soak: compiled
	@$(BIN)/python -m tests.soak --seconds $(or $(SECONDS),300) $(SOAK)

# RESTARTS takes more options: make restarts RESTARTS="--kills 10"
restarts: compiled
	@$(BIN)/python -m tests.restarts $(RESTARTS)

# AUTOBAHN takes more options: make autobahn AUTOBAHN='--cases "1.*,2.*"'
autobahn: compiled
	@$(BIN)/python -m tests.autobahn $(AUTOBAHN)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name '*.so' -path './src/*' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
