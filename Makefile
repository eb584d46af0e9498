# Every target is one or two commands; docs/getting-started.md spells them out for machines without make.
# Another Python: make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
# What `make test` and `make test-slow` run, and further arguments of pytest and of the demo.
TESTS ?= tests
PYTEST_ARGS ?=
DEMO_ARGS ?=
# `make lock UPGRADE=--upgrade` takes the newest versions that setup.py allows.
UPGRADE ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The programs among them; the others are what these share.
BENCHMARKS = $(shell grep -l __main__ benchmarks/*.py)

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# $(call given,NAME): the value of a variable that has to be given.
given = $(or $($(1)),$(error $(1) is missing: make $@ $(1)=…))

.DEFAULT_GOAL := help
.PHONY: help install test test-slow servers lint format bench demo demo-stream docs docs-serve templates image specs lock clean

help: ## these lines
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 13

install: $(INSTALLED) ## install the pinned dependencies and this project into .venv

# The script empties the environment first, so an interrupted installation leaves no mark of a complete one.
$(INSTALLED): requirements.lock requirements-uv.lock scripts/install.py setup.py pyproject.toml
	@echo "Installing the pinned dependencies into $(VENV) (half a minute, once)"
	$(PYTHON) scripts/install.py $(VENV)
	@touch $@

test: servers ## run every test but the slow ones, side by side
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal $(PYTEST_ARGS) $(TESTS)

test-slow: servers ## run the slow tests, one after the other: some of them measure
	@# 5: no test of TESTS is slow.
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS) $(TESTS) || [ $$? -eq 5 ]

servers: $(INSTALLED) ## build the servers of others that tests use, once; needs Go, without which those are skipped
	-@$(BIN)/python tests/servers/go_programs.py >/dev/null

lint: $(INSTALLED) ## check style, format and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(INSTALLED) ## format the code and correct what can be corrected
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(INSTALLED) ## run every benchmark; the last line of each is JSON, kept in benchmarks/results
	@mkdir -p benchmarks/results
	@for script in $(BENCHMARKS); do \
	  echo "== $$script"; name=$$(basename $$script .py); \
	  $(BIN)/python $$script | tee benchmarks/results/$$name.txt || exit 1; \
	  tail -n 1 benchmarks/results/$$name.txt > benchmarks/results/$$name.json; \
	done

demo: $(INSTALLED) ## 20,000 generated batches through the pipeline into a stand-in for TikTok
	$(BIN)/python -m pipeline demo $(DEMO_ARGS)

demo-stream: $(INSTALLED) ## a minute of a live stream, from a stand-in for Pub/Sub into one for TikTok
	$(BIN)/python -m sandbox.demo.stream $(DEMO_ARGS)

docs: $(INSTALLED) ## build the manual into site/, after `.venv/bin/python -m docs.generate` has nothing left to write
	$(BIN)/python -m docs.generate --check
	@# Not --clean: it empties .cache, where CI keeps the servers that tests need.
	rm -rf site
	$(BIN)/zensical build --strict
	@# Whatever is no page is copied too: the program that writes pages does not belong there.
	rm -rf site/generate.py site/__pycache__

docs-serve: $(INSTALLED) ## show the manual in a browser while pages are written
	$(BIN)/zensical serve

templates: $(INSTALLED) ## write the generated files of the Flex Templates, after a change of flags or steps
	$(BIN)/python -m templates.flex.generate

image: ## build the image of the Flex Templates and push it: make image IMAGE=europe-docker.pkg.dev/…/tiktok-events:1
	docker build --platform linux/amd64 --file templates/flex/Dockerfile --build-arg IMAGE=$(call given,IMAGE) \
	  --tag $(IMAGE) .
	docker push $(IMAGE)

specs: $(INSTALLED) ## write the container specs of an image into a bucket: make specs IMAGE=… SPECS=gs://…
	$(BIN)/python -m templates.flex.generate --image $(call given,IMAGE) --to build/specs
	gcloud storage cp build/specs/*.json $(call given,SPECS)/

lock: $(INSTALLED) ## write the locks from the ranges in setup.py: all for work on this project, uv, what the image holds
	$(BIN)/uv pip compile setup.py --extra dev --extra docs --extra sandbox --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet $(UPGRADE) \
	  --output-file requirements.lock
	echo uv | $(BIN)/uv pip compile - --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --no-annotate --quiet \
	  --output-file requirements-uv.lock
	@# The image builds this package, so it needs what builds it; its versions are those of the lock above.
	echo 'setuptools>=77' | $(BIN)/uv pip compile setup.py - --constraint requirements.lock --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --output-file templates/flex/requirements.lock

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-3.* demo-output build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
