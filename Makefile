# Foresight: two commands are the whole set-up: `make demo` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
UV_VERSION := 0.13.9
OUT ?= .foresight/bench
# Every worker imports the same libraries; where their bytecode is not kept, an import takes more than twice as long.
unexport PYTHONDONTWRITEBYTECODE
export HF_HUB_OFFLINE := 1
export GX_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export DAGSTER_DISABLE_TELEMETRY := yes

.PHONY: help setup demo test stack stack-test fault-figures check audit ui report gpu-bench clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.complete ## the virtual environment, from requirements.lock

.venv/.complete: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; Foresight needs Python 3.11" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## the whole programme on this machine: generated clips, then real ones; ends with the gate board
	$(BIN)/foresight weights fetch
	$(BIN)/foresight run --profile laptop --data moving_shapes --override-by demo --why "the demo shows every stage, whatever the gates say"
	$(BIN)/foresight run --profile laptop --data real

ui: setup ## Dagster's and MLflow's UIs on loopback, over what was run
	$(BIN)/foresight ui

stack: setup ## PostgreSQL, S3, MLflow, a Ray cluster of two nodes and Dagster as plain processes, until Ctrl-C
	$(BIN)/foresight stack

report: setup ## the page for the chair
	$(BIN)/foresight report --out foresight-report.html

gpu-bench: setup ## times and memory at the proposal's sizes on this GPU, into OUT; small sizes where there is none
	$(BIN)/python -m models.bench.gpu --out $(OUT)

test: setup ## the fast tests
	$(BIN)/foresight weights fetch
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not stack"

stack-test: setup ## the tests that run whole programmes, servers and a browser; `fault-figures` runs the faults
	$(BIN)/foresight weights fetch
	$(BIN)/python -m pytest -m "stack and not fault" --durations=25

fault-figures: setup ## every fault in one table: how it ended, what was done twice or lost, and how far off the budget is
	$(BIN)/python -m tests.faults.figures --kills 200

check: setup ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

audit: setup ## secrets in the tracked files, then advisories on requirements.lock (error 4: no service to ask)
	$(BIN)/python -m infra.audit.secret_scan
	$(BIN)/python -m infra.audit.advisories

clean: ## remove what runs made; keeps the environment and the fetched weights
	rm -rf .foresight/data .foresight/runs .foresight/dagster .foresight/mlflow .foresight/remote .foresight/foresight.db
