# Everything that a fresh machine needs is python3 and make.
PYTHON ?= python3
VENV ?= .venv
# Where the package is installed from; the container image leaves the "-e" out.
EDITABLE ?= -e
BIN := $(VENV)/bin

.PHONY: run test lint format bench kserve install clean

run: $(VENV)/.run          ## Serve on http://127.0.0.1:8000 with the bundled models
	$(BIN)/trigger-api serve

test: $(VENV)/.test        ## Run the tests, with coverage
	$(BIN)/pytest --cov --cov-report=term:skip-covered
	$(BIN)/coverage report --include='*/inference.py,*/registry.py' --fail-under=100

lint: $(VENV)/.lint        ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.lint      ## Mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench      ## Measure against the baselines; writes benchmarks/RESULTS.md
	set -e; for each in trigger compare digits objects faces entities rooms soak; do \
	  $(BIN)/python benchmarks/$$each.py; done

install: $(VENV)/.run

clean:
	rm -rf $(VENV) $(VENV)-kserve

# Debian ships python3 without venv; where we may, we add it.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  $$([ "$$(id -u)" = 0 ] || echo sudo) apt-get install -y python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet $(EDITABLE) '.[tensorflow,onnx]'
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(BIN)/python -m pip install --quiet $(EDITABLE) '.[tensorflow,onnx,test]'
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install --quiet $(EDITABLE) '.[tensorflow,onnx,bench,test,train,lint]'
	touch $@

$(VENV)/.bench: $(VENV)/.run
	$(BIN)/python -m pip install --quiet $(EDITABLE) '.[tensorflow,onnx,bench,peers]'
	touch $@

# KServe's client has many dependencies, and pins that are not ours: it gets an environment of its own.
kserve: $(VENV)-kserve/.done
$(VENV)-kserve/.done: $(BIN)/python
	$(PYTHON) -m venv $(VENV)-kserve
	$(VENV)-kserve/bin/python -m pip install --quiet kserve
	touch $@
