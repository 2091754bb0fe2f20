# Everything a person types. `make demo` and `make test` need nothing but Python 3.10 to 3.13 and this checkout.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.10 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup demo up down status test test-all test-fast test-unit test-integration test-integration-all test-core test-acceptance test-browser test-torture torture bench lint format constraints pictures pin-images clean

help:
	@echo "make demo    run the shipped migrations through a real Airflow, then stop everything"
	@echo "make up      start the local stack and leave it running; make down stops it"
	@echo "make test    run the tests; make test-fast a part in a minute, make test-all also all majors, cases and the browser"
	@echo "make torture KIND=backfill|insert|quarantine|index|constraint SEEDS=200   a long step under live traffic, seed after seed; goes on where it was stopped"
	@echo "make lint    check style, types, layers and SQL"
	@echo "make bench   measure, and compare with the naive way or a peer"

setup: $(STAMP)

$(STAMP): requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.13 is needed and none was found; set PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt -e .
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/sandbox demo

up: $(STAMP)
	@$(BIN)/sandbox up

down: $(STAMP)
	@$(BIN)/sandbox down

status: $(STAMP)
	@$(BIN)/sandbox status

# How long each ring took is told at its end.
TIMED = @start=$$SECONDS; $(PYTEST)
TOOK = && echo "== $@: $$((SECONDS - start)) s"

test: test-unit test-integration test-torture test-core

# The cases that go through every stage, its failure included; the others add people, kills, drift and the calendar.
CORE := tests/acceptance/test_01_happy_path.py tests/acceptance/test_02_failing_stages.py

test-all: TORTURED := 10
test-all: OTHERS := 10
test-all: test-unit test-integration-all test-torture test-acceptance test-browser

# For the loop of an editor: what needs no server, a sample of the effects, and the stages on one server.
QUICK := tests/integration/test_apply.py tests/integration/test_verify.py tests/integration/test_rollback.py \
	tests/integration/test_step_kinds.py tests/integration/test_steps_sql.py

test-fast: $(STAMP)
	$(TIMED) tests/unit tests/effects $(QUICK) --sample 12 -q -n 2 --dist worksteal $(TOOK)

test-unit: $(STAMP)
	$(TIMED) tests/unit -q -n 2 --dist worksteal $(TOOK)

# One in four of the effects, and of the cases of larger matrices, the same in every run; all, on all majors, in test-all.
test-integration: $(STAMP)
	$(TIMED) tests/integration tests/effects --sample 4 -q -n 2 --dist worksteal $(TOOK)

test-integration-all: $(STAMP)
	$(TIMED) tests/integration tests/effects --every-major -q -n 2 --dist worksteal $(TOOK)

test-core: $(STAMP)
	@start=$$SECONDS; ACCEPTANCE_SIDE_BY_SIDE=6 $(PYTEST) $(CORE) -q $(TOOK)

# Skipped, with the reason, where there is no Chromium. BROWSER_SCREENSHOTS=folder keeps what each window showed last.
test-browser: $(STAMP)
	$(TIMED) tests/browser -q $(TOOK)

test-acceptance: $(STAMP)
	$(TIMED) tests/acceptance -q $(TOOK)

# Long steps under live traffic: so many seeds of backfill and of each other kind, and defects that must be found. One after the other, because
# a seed keeps both of a small machine's cores busy.
TORTURED := 3
OTHERS := 1

test-torture: $(STAMP)
	$(TIMED) tests/torture --seeds $(TORTURED) --others $(OTHERS) -q $(TOOK)

# Results lie in .local/torture; a seed that has passed is left out until its line there is gone.
KIND ?= backfill
SEEDS ?= 200
FROM ?= 1

torture: $(STAMP)
	$(TIMED) tests/torture/test_seeds.py --keep --kind $(KIND) --seeds $(SEEDS) --from-seed $(FROM) -q $(TOOK)

bench: $(STAMP)
	@set -e; for file in tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file; done

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=plugins $(BIN)/lint-imports
	$(BIN)/sqlfluff lint --nocolor --disable-progress-bar include/migrator include/sandbox/migrations migrations

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Keeps what is pinned already; delete a line of constraints.txt to have that package resolved anew.
constraints: $(STAMP)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --no-annotate --no-header requirements-dev.txt \
		-o constraints.txt >/dev/null
	@printf '%s\n' "# Everything that requirements.txt and requirements-dev.txt bring along, pinned for Python 3.10 to 3.13 on Linux and" \
		"# macOS. Made by \`make constraints\`; do not edit." | cat - constraints.txt > constraints.new
	@mv constraints.new constraints.txt

# The pictures of README.md. Wants Chromium, and a font that has the check marks of a run's page: fonts-noto-color-emoji.
pictures: $(STAMP)
	$(PYTEST) tests/browser/pictures.py -q

# Where there is a Docker: each image's digest beside its tag, in both files.
pin-images:
	@for image in $$(sed -nE 's/^ *image: ([a-z]+:[0-9][^@ ]*).*/\1/p; s/^FROM ([^@ ]+).*/\1/p' docker-compose.yaml Dockerfile); do \
		digest=$$(docker buildx imagetools inspect "$$image" --format '{{.Manifest.Digest}}') || exit 1; \
		sed -i.bak -E "s#($$image)(@sha256:[0-9a-f]+)?\$$#\1@$$digest#" docker-compose.yaml Dockerfile; \
		rm -f docker-compose.yaml.bak Dockerfile.bak; echo "$$image@$$digest"; \
	done

clean:
	rm -rf $(VENV) .local .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
