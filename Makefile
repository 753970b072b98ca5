# Everything that a fresh machine needs is python3 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# LOCKED=1 installs the exact versions of requirements/ci.txt, checked by hash, as CI does.
LOCKED ?=

.PHONY: run test test-fast fuzz lint format docs bench bench-quick kserve lock audit install clean

run: $(VENV)/.run          ## Serve on http://127.0.0.1:8000 with the bundled models
	$(BIN)/trigger-api serve

# Tests run side by side, a file on one core; those in a browser by themselves, for Playwright keeps an event loop of its
# own in their process. One thread a library: the tests share the cores already. With COLUMNS, tables in output are not
# broken up.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 COLUMNS=200 $(BIN)/pytest
QUICK := $(PYTEST) -m "not slow" -n auto --dist loadfile
SLOW := $(PYTEST) -m slow -n auto --dist loadfile --ignore=tests/web

test: $(VENV)/.test        ## Run all tests, with coverage
	$(QUICK) --cov --cov-report=
	$(SLOW) --cov --cov-append --cov-report=
	$(PYTEST) tests/web --cov --cov-append --cov-report=term:skip-covered
	$(BIN)/coverage report --include='*/inference.py,*/scheduler.py,*/registry.py,*/loading.py' --fail-under=100

test-fast: $(VENV)/.test   ## Run the quick tests, for the loop at the desk
	$(QUICK) -q

fuzz: $(VENV)/.test        ## Damage recordings and pictures and decode them, for MINUTES
	PYTHONPATH=tests $(BIN)/python tests/media/fuzz.py --minutes $(or $(MINUTES),10)

lint: $(VENV)/.lint        ## Check style, types and security
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --severity-level medium src
	$(BIN)/pip check

format: $(VENV)/.lint      ## Mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test        ## Build the documentation site into build/site
	$(BIN)/python docs/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/.bench      ## Measure against the baselines; writes benchmarks/RESULTS.md
	set -e; for each in start trigger compare digits objects faces entities rooms soak; do \
	  $(BIN)/python benchmarks/$$each.py; done

bench-quick: $(VENV)/.bench  ## Measure for some minutes; fails if the service has lost ground to others
	$(BIN)/python benchmarks/quick.py

install: $(VENV)/.run

clean:
	rm -rf $(VENV) $(VENV)-kserve $(VENV)-lock $(VENV)-audit build

# Debian ships python3 without venv; where we may, we add it.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  $$([ "$$(id -u)" = 0 ] || echo sudo) apt-get install -y python3-venv && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python -m pip install --quiet --upgrade pip

PIP := $(BIN)/python -m pip install --quiet
ifdef LOCKED
INSTALL = $(PIP) --require-hashes -r requirements/ci.txt && $(PIP) --no-deps --no-build-isolation -e .
else
INSTALL = $(PIP) -e '.[$(EXTRAS)]'
endif

# The bundled models need ONNX Runtime alone; for Keras files of your own, `make run WITH=onnx,convert`.
WITH ?= onnx
$(VENV)/.run: EXTRAS = $(WITH)
$(VENV)/.test: EXTRAS := onnx,convert,docs,test
$(VENV)/.lint: EXTRAS := onnx,convert,bench,docs,test,train,lint
$(VENV)/.bench: EXTRAS := onnx,convert,bench,peers

$(VENV)/.run: $(BIN)/python pyproject.toml
$(VENV)/.test $(VENV)/.lint $(VENV)/.bench: $(VENV)/.run
$(VENV)/.lint: $(VENV)/.test
$(VENV)/.run $(VENV)/.test $(VENV)/.lint $(VENV)/.bench:
	$(INSTALL)
	touch $@

# KServe's client has many dependencies, and pins that are not ours: it gets an environment of its own.
kserve: $(VENV)-kserve/.done
$(VENV)-kserve/.done: $(BIN)/python
	$(PYTHON) -m venv $(VENV)-kserve
	$(VENV)-kserve/bin/python -m pip install --quiet kserve
	touch $@

# What CI and the container install: versions and hashes, for every Python and platform; no host.
lock: requirements/ci.txt requirements/container.txt   ## Update the lock files in requirements/
requirements/ci.txt: extras := onnx convert tensorflow bench docs test train lint
requirements/container.txt: extras := onnx grpc otel postgres redis wyoming
requirements/%.txt: pyproject.toml $(VENV)-lock/bin/uv
	mkdir -p $(@D)
	{ echo '# Versions and hashes for: $(extras). Written by `make lock`.'; \
	  printf 'hatchling\neditables\n' | $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    pyproject.toml - $(extras:%=--extra %); } > $@.new
	mv $@.new $@

audit: $(VENV)-audit/bin/pip-audit  ## Look the locked versions up in the advisory database; needs the network
	for each in ci container; do $< --disable-pip --require-hashes -r requirements/$$each.txt || exit 1; done

$(VENV)-audit/bin/pip-audit:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit

$(VENV)-lock/bin/uv:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
