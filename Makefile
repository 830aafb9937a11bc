# Everything a working copy needs. On the machine: Python 3.11 or newer, and GNU make.

VENV       := .venv
VENV_BENCH := .venv-bench
VENV_FUZZ  := .venv-fuzz
VENV_LOCK  := .venv-lock
VENV_PEER  := .venv-cli-peer
VENVS      := $(VENV) $(VENV_BENCH) $(VENV_FUZZ) $(VENV_LOCK) $(VENV_PEER)

# `make PYTHON=/path/to/python3.13` insists on one interpreter. Otherwise the first of these that works;
# a plain python3 comes last because it may be newer than the locked wheels.
PYTHON     ?=
CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3

FUZZERS     = $(sort $(wildcard tests/fuzz/fuzz_*.py))
FUZZ_S     ?= 60

# In the order in which one constrains the next, so that shared pins agree.
LOCKS      := runtime build smoke cli rotation dev bench fuzz lock cli-peer
# `make lock UPGRADE=--upgrade` moves every pin; without it only what an .in file asks for moves.
UPGRADE    ?=

# The stamps of one environment are made by separate pip runs, which must not overlap under `make -j`.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help quickstart rotation-lambda venv test coverage lint types bench fuzz lock clean


help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

quickstart: $(VENV)/.project  ## run the first example
	@$(VENV)/bin/python examples/quickstart.py

rotation-lambda: $(VENV)/.tools  ## the zip for examples/rotation_lambda; OPTIONS="--target MariaDb" and others
	$(VENV)/bin/python examples/rotation_lambda/build.py $(OPTIONS)

venv: $(VENV)/.dev $(VENV)/.project  ## make or renew the development environment, .venv

test: venv $(VENV_PEER)/.tools  ## every test, on two cores
	$(VENV)/bin/python -m pytest -n 2

coverage: venv $(VENV_PEER)/.tools  ## the same, watched: every branch of the library must be covered
	$(VENV)/bin/python -m pytest -n 2 --cov -q

lint: venv  ## style and formatting
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m ruff format --check

types: venv  ## strict type check
	$(VENV)/bin/python -m mypy

bench: $(VENV_BENCH)/.project $(VENV_PEER)/.tools  ## every benchmark, against the peers; one report in Markdown
	$(VENV_BENCH)/bin/python -m benchmarks

fuzz: $(VENV_FUZZ)/.project  ## every fuzzer in tests/fuzz, FUZZ_S seconds each (default 60)
	@test -n "$(FUZZERS)" || { echo "make fuzz: there is no tests/fuzz/fuzz_*.py" >&2; exit 1; }
	@set -e; for script in $(FUZZERS); do \
		echo "== $$script"; \
		$(VENV_FUZZ)/bin/python "$$script" -max_total_time=$(FUZZ_S); \
	done

lock: $(VENV_LOCK)/.tools  ## write requirements/*.txt anew from the .in files
	@set -e; for name in $(LOCKS); do \
		echo "requirements/$$name.txt"; \
		$(VENV_LOCK)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --custom-compile-command "make lock" $(UPGRADE) \
			"requirements/$$name.in" --output-file "requirements/$$name.txt"; \
	done

clean:  ## remove environments, caches and build output
	rm -rf $(VENVS) dist .coverage .coverage.*
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +


# --- environments ---------------------------------------------------------------------------------
#
# .tools    an empty environment, and in it what one or two locks name
# .dev      what the tests need on top of .tools, so that the quickstart need not wait for it
# .project  the project itself, editable, built by the locked hatchling
#
# Each stamp is touched last: what was interrupted is done again.

define find_python
for found in $(if $(PYTHON),"$(PYTHON)",$(CANDIDATES)) ""; do \
	"$$found" -I -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' \
		>/dev/null 2>&1 && break; \
done; \
test -n "$$found" || { echo "make: no usable Python 3.11 or newer (it needs venv and ensurepip;" \
	"tried: $(or $(PYTHON),$(CANDIDATES))). Name one: make PYTHON=/path/to/python3" >&2; exit 1; }
endef

pip_install = $(@D)/bin/python -m pip --disable-pip-version-check install -qq

# With the drivers of databases, because the quickstart rotates a password where it finds a server.
$(VENV)/.tools:       LOCKED := runtime rotation build
$(VENV_BENCH)/.tools: LOCKED := bench build
$(VENV_FUZZ)/.tools:  LOCKED := fuzz build
$(VENV_LOCK)/.tools:  LOCKED := lock
$(VENV_PEER)/.tools:  LOCKED := cli-peer

$(VENV)/.tools:       requirements/runtime.txt requirements/rotation.txt requirements/build.txt
$(VENV_BENCH)/.tools: requirements/bench.txt requirements/build.txt
$(VENV_FUZZ)/.tools:  requirements/fuzz.txt requirements/build.txt
$(VENV_LOCK)/.tools:  requirements/lock.txt
$(VENV_PEER)/.tools:  requirements/cli-peer.txt

# No recipe, so a missing one counts as newer than any stamp: an environment is made anew when the Python
# that its link points to was upgraded or removed.
$(VENVS:%=%/bin/python):

%/.tools: %/bin/python
	@$(find_python); echo "$$found -m venv --clear $*"; "$$found" -m venv --clear $*
	$(pip_install) --require-hashes --only-binary :all: $(LOCKED:%=-r requirements/%.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.tools requirements/dev.txt
	$(pip_install) --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

%/.project: %/.tools pyproject.toml
	$(pip_install) --no-index --no-deps --no-build-isolation --editable .
	@touch $@
