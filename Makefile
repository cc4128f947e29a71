# Every target makes what it needs, and is quick where nothing has changed. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= auto
ARGS ?=

BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check format docs bench clean

help:  ## List the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | while read -r target text; do printf '  %-8s %s\n' "$$target" "$$text"; done
	@echo "Variables: PYTHON=$(PYTHON) (3.10 or newer), VENV=$(VENV), JOBS=$(JOBS) (test processes), ARGS (more for pytest or the benchmarks)."

demo: $(VENV)/.demo  ## Run the demo on embedded SQLite
	@echo "==> Running examples/demo.py"
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev  ## Run the suite on SQLite, PostgreSQL and MySQL/MariaDB (ARGS="-k sqlite" runs a part)
	@echo "==> Running the tests, every warning an error"
	@PYTHONDEVMODE=1 PYTHONWARNINGS=error $(BIN)/python -X dev -W error \
		-m pytest -n $(JOBS) --maxprocesses 4 --dist worksteal $(ARGS)

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

format: $(VENV)/.dev  ## Put the code in ruff's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(VENV)/.dev  ## Build the documentation into site/
	@echo "==> Building the documentation"
	@$(BIN)/mkdocs build --strict

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
