# Two commands matter: `make serve` and `make test`. Each does everything it needs on a fresh
# machine with Python 3.11 or newer; a second run skips what is already there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
# Training and tests only; the running agent needs no torch. `cpu` or `cuda`, which on Linux means
# gigabytes of libraries.
TORCH ?= $(if $(GPU),cuda,cpu)
TORCH_VERSION ?= 2.13.0
# A package index that has torch's CPU builds, if pip's own configuration names none. PyTorch
# keeps one: choose "CPU" on its page "Get Started" and copy the address.
TORCH_INDEX ?=

BIN := $(VENV)/bin
# --no-compile: most of what is installed is never imported; what is, is compiled on first import.
# It is compiled once: with this variable set, as some containers do, every process would do it anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-compile
CONSTRAINTS := $(addprefix -c ,$(wildcard constraints.txt))
GPU := $(shell nvidia-smi -L 2>/dev/null | grep -q GPU && echo yes)
PYTHON ?= $(firstword $(foreach p,python3.11 python3 python3.12 python3.13,$(shell \
	$(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))

.PHONY: help serve setup setup-train setup-gpu setup-test download-size system assets test test-fast mutate lint clean

help:
	@echo "make serve   environment, pretrained parts, then the page on http://$(HOST):$(PORT)"
	@echo "make test    environment, system packages, then every check and test"
	@echo "make test-fast  the tests that need no pretrained part, system package or network"
	@echo "make mutate  kill rates of mutations on the pure cores, CORE=floor for one"
	@echo "make setup   the environment only; the tools then stand in $(BIN)"
	@echo "make setup-train  the same with what training needs, make setup-gpu with what kernels need"
	@echo "make download-size  what the first \`make serve\` fetches, in MB"
	@echo "make assets  the pretrained parts of the running agent, into the cache folder"
	@echo "make lint    formatting, lint and types only"
	@echo "make clean   remove the environment and the caches of the tools"

serve: setup assets
	exec $(BIN)/duplex-agent serve --host $(HOST) --port $(PORT)

setup: $(VENV)/.setup

setup-train: $(VENV)/.setup-train

setup-gpu: $(VENV)/.setup-gpu

setup-test: $(VENV)/.setup-test

download-size: $(VENV)/.python
	$(BIN)/python scripts/download_size.py

assets: setup
	$(BIN)/duplex-agent doctor

test: setup-test system lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope -m "not realtime"
	$(BIN)/python -m pytest -m realtime

# No root, no system package, no pretrained part, no network after the set-up.
FAST := not (assets or system or realtime or browser or gpu or slow)
test-fast: setup-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope -q -m "$(FAST)" \
	  --ignore tests/kernels --ignore tests/train --ignore tests/evals

# Kill rates of mutations on the pure cores; CORE=floor runs one of them.
mutate: setup-test
	$(BIN)/python -m scripts.mutation $(CORE)

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# ffmpeg, a browser, a second voice and human recordings: for tests and training only.
system:
	bash scripts/system_packages.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found. Set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.setup: $(VENV)/.python pyproject.toml $(wildcard constraints.txt)
	$(INSTALL) $(CONSTRAINTS) -e .
	@touch $@

# torch first and alone: resolved together with the rest, plain `torch` on Linux means several
# gigabytes of CUDA libraries. `+cpu` is the local version that only CPU builds carry; on other
# systems the ordinary build is the CPU build.
$(VENV)/.torch: $(VENV)/.python
ifeq ($(shell uname -s)-$(TORCH),Linux-cpu)
	$(INSTALL) $(addprefix --extra-index-url ,$(TORCH_INDEX)) "torch==$(TORCH_VERSION)+cpu" || { \
	  echo "pip knows no index with the CPU build of torch $(TORCH_VERSION). Name one:" >&2; \
	  echo "  make $(MAKECMDGOALS) TORCH_INDEX=<the CPU index on PyTorch's page \"Get Started\">" >&2; \
	  echo "or take the ordinary build, with gigabytes of CUDA libraries:" >&2; \
	  echo "  make $(MAKECMDGOALS) TORCH=cuda" >&2; \
	  exit 1; }
else
	$(INSTALL) "torch==$(TORCH_VERSION)"
endif
	@touch $@

$(VENV)/.setup-train: $(VENV)/.torch $(VENV)/.setup
	$(INSTALL) $(CONSTRAINTS) -e ".[train]"
	@touch $@

$(VENV)/.setup-gpu: $(VENV)/.torch $(VENV)/.setup
	$(INSTALL) $(CONSTRAINTS) -e ".[gpu]"
	@touch $@

$(VENV)/.setup-test: $(VENV)/.torch $(VENV)/.setup
	$(INSTALL) $(CONSTRAINTS) -e ".[dev]"
# Resemblyzer asks for a webrtcvad that must be compiled and would shadow the wheel in use.
	$(INSTALL) --no-deps resemblyzer==0.1.4
	@touch $@
