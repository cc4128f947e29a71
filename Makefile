# Every target makes what it needs, and is quick where nothing has changed. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
ARGS ?=
# Where the documentation links to: the repository that was cloned, if it is on the web.
REPOSITORY_URL ?= $(shell git remote get-url origin 2>/dev/null | sed -n -E 's,^(https://([^/@]+@)?|git@)([^/@:]+)[/:](.+)$$,https://\3/\4,p' | sed 's/\.git$$//')

BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo test servers test-servers matrix django-suite check format docs faults threads bench clean

help:  ## List the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done
	@echo "Variables: PYTHON=$(PYTHON) (3.10 or newer), VENV=$(VENV), JOBS=$(JOBS) (test processes), ARGS (more for pytest or the benchmarks)."

demo: $(VENV)/.demo  ## Run the demo on embedded SQLite
	@echo "==> Running examples/demo.py"
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## Run the suite on SQLite, PostgreSQL and MySQL/MariaDB (ARGS="-k sqlite" runs a part)
	@echo "==> Running the tests, every warning an error"
	@# Processes that the tests start read bytecode, also where PYTHONDONTWRITEBYTECODE keeps Python from writing it.
	@$(BIN)/python -m compileall -q orm examples tests
	@# The allocator's debug hooks look for faults of extensions in C, and take a fifth of the time.
	@PYTHONMALLOC=pymalloc PYTHONDEVMODE=1 PYTHONWARNINGS=error $(BIN)/python -X dev -W error \
		-m pytest -n $(JOBS) --maxprocesses 4 --dist worksteal $(ARGS)

servers:  ## Install and start MySQL 9, MariaDB 11.8 and PostgreSQL 18 (as root, on Debian); prints their URLs
	@tools/servers up

test-servers: $(VENV)/.dev  ## Run a part of the suite on each server of `make servers`
	@PYTHON=$(BIN)/python JOBS=$(JOBS) tools/test_servers $(ARGS)

matrix:  ## Run the suite on SQLite with each Python from 3.10, SQLAlchemy 2.0 and 2.1, and the oldest dependencies
	@VENV=$(VENV) JOBS=$(JOBS) tools/matrix $(ARGS)

django-suite: $(VENV)/.dev  ## Run Django's own ORM tests and write docs/django-suite.md (ARGS="queries": one area)
	@echo "==> Django's tests, on SQLite and on the servers that TEST_…_URL name"
	@$(BIN)/python -m tests.django_suite $(ARGS)

check: $(VENV)/.dev  ## Check style, layers, vocabulary and types
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "==> lint-imports (the layers of orm)"
	@$(BIN)/lint-imports
	@echo "==> type-only imports, vocabulary"
	@$(BIN)/python -m tools.type_only_imports
	@$(BIN)/python -m tools.vocabulary
	@echo "==> mypy --strict orm tools"
	@$(BIN)/mypy --strict orm tools
	@echo "==> mypy --strict tests/typing"
	@$(BIN)/mypy --strict tests/typing
	@echo "==> pyright tests/typing"
	@$(BIN)/pyright --pythonpath $(BIN)/python tests/typing
	@echo "==> ty tests/typing"
	@$(BIN)/ty check --quiet --python $(VENV) tests/typing
	@echo "==> mistakes that pyright, mypy and ty refuse"
	@$(BIN)/python -m tools.type_mistakes

format: $(VENV)/.dev  ## Put the code in ruff's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev  ## Build the documentation into site/
	@echo "==> Building the documentation"
	@REPOSITORY_URL="$(REPOSITORY_URL)" $(BIN)/zensical build --strict

faults: $(VENV)/.dev  ## Kill connections, servers, clusters and processes at length (hours; the suite does it shortly)
	@echo "==> Faults: 100,000 transfers, 200 killed processes and servers on each database; clusters; a faulty wire and disk"
	@FAULTS=full $(BIN)/python -m pytest -s tests/faults $(ARGS)

threads: $(VENV)/.dev  ## 50 threads × 1,000 transfers without await on each database (minutes; the suite makes 20 each)
	@SYNC_CALLS=1000 $(BIN)/python -m pytest -s tests/synchronous/test_threads.py --durations=5 $(ARGS)

bench: $(VENV)/bench/.runner  ## Measure orm beside its peers (QUICK=1: two minutes; ARGS="--databases sqlite")
	@echo "==> Benchmarks (each subject's environment is made the first time)"
	@$(VENV)/bench/runner/bin/python -m benchmarks --environments $(VENV)/bench $(if $(QUICK),--quick) $(ARGS)

clean:  ## Remove the environment and everything that was built
	@echo "==> Removing $(VENV), builds and caches"
	@rm -rf $(VENV) build dist site *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there. Install Python 3.10 or newer, or name one: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "$(PYTHON) is $$($(PYTHON) --version); 3.10 or newer is needed: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "==> Installing python3-venv with apt-get"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; \
		else \
			echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; \
		fi; }
	@echo "==> Making the environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.created setup.cfg pyproject.toml
	@if [ $(VENV)/.dev -nt setup.cfg ] && [ $(VENV)/.dev -nt pyproject.toml ] && [ $(VENV)/.dev -nt $(VENV)/.created ]; then :; else \
		echo "==> Installing orm with its SQLite driver"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sqlite]'; \
	fi
	@touch $@

$(VENV)/.dev: $(VENV)/.created setup.cfg pyproject.toml
	@echo "==> Installing orm with every driver and the tools of its tests (takes a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	@touch $@

$(VENV)/bench/.runner: $(VENV)/.created benchmarks/requirements.txt
	@echo "==> Making the environment of the benchmarks"
	@$(BIN)/python -m venv --clear $(VENV)/bench/runner
	@$(VENV)/bench/runner/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@
