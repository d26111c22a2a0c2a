# Everything needs Python 3.11 to 3.13 and make, nothing else: each target makes .venv first where it is missing.
PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test,dev,serving,mobile,video,sound,detection
# Each worker loads TensorFlow (about 1.5 GB); two suit a laptop and a two-core runner alike.
PYTEST_ARGS ?= -n 2 --dist worksteal
SHARED ?= ../shared/data

BIN := $(VENV)/bin
comma := ,
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))

.DEFAULT_GOAL := help
.PHONY: help install test test-slow lint demo bench tables colorizer clean

help:
	@echo "make install    .venv with everything the other targets need (PYTHON=python3.12 picks an interpreter)"
	@echo "make demo       train, evaluate, export and colorize on real photographs, in under 10 minutes"
	@echo "make test       the quick tests, 13 minutes on two cores"
	@echo "make test-slow  all tests, the slow ones too"
	@echo "make lint       ruff, mypy, the Python in README.md and docs/ and, where it can run, hadolint"
	@echo "make bench      the benchmarks, into benchmarks/results/; needs a quiet machine"
	@echo "make tables     rewrite the generated tables in README.md and docs/"
	@echo "make colorizer  rebuild the shipped colorizer from the photo archives in SHARED=folder"

install: $(STAMP)

$(STAMP): setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else \
	  "Python 3.11 to 3.13 is needed, $(PYTHON) is %d.%d; name one: make PYTHON=python3.12 ..." % v)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$(EXTRAS)]"
	@touch $@

test: install
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-slow: install
	$(BIN)/python -m pytest --slow $(PYTEST_ARGS)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/check_snippets.py
	@if test -x $(BIN)/hadolint; then $(BIN)/hadolint Dockerfile.gpu && echo "hadolint: Dockerfile.gpu is clean"; \
	  else echo "hadolint: no build for this platform, Dockerfile.gpu not checked"; fi

demo: install
	$(BIN)/python examples/demo.py

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	@set -e; for script in soft_encoding train_step input_pipeline clip_pipeline jigsaw context_prediction colorize colorize_torch depthwise; do \
	  echo "== $$script"; $(BIN)/python benchmarks/$$script.py; done

tables: install
	$(BIN)/python tools/make_tables.py

colorizer: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[pretrained]"
	$(BIN)/python tools/build_colorizer.py --shared $(SHARED)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
