# QuantMCU Kit. `make demo` and `make test` set everything up on a fresh machine; both may be run again at any time.
PYTHON ?= python3
SHELL := /bin/sh
.DEFAULT_GOAL := help

.PHONY: help demo test bench-exact bench-int8 bench-host bench-memory bench-patches bench-boards bench-latency bench-code-size bench-kernels bench-mlperf bench-mlperf-mixed bench-precision bench-mixed-memory bench-mixed-latency bench-ablation bench-tune bench-searches sweep-vdqs fuzz retrain clean

help:  ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

.venv/installed: pyproject.toml
	test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e .
	touch .venv/installed

.venv/installed-test: .venv/installed pyproject.toml
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch .venv/installed-test

demo: .venv/installed  ## build, verify and measure the example network for an Arduino Nano 33 BLE
	.venv/bin/python -c 'import shutil, sys; sys.exit(not any(map(shutil.which, ("cc", "gcc", "clang"))))' \
		|| .venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[zig]'
	.venv/bin/qmkit build examples/digits/digits.tflite --board nano33ble --images examples/digits/calibration \
		--preprocess pm1 --output build/demo/digits --force
	.venv/bin/qmkit verify build/demo/digits --images examples/digits/images
	.venv/bin/qmkit eval examples/digits/digits.tflite --images examples/digits/images \
		--calibration examples/digits/calibration --preprocess pm1
	@echo "The library is in build/demo/digits: copy it into the lib folder of a PlatformIO project or Arduino's libraries."

test: .venv/installed-test  ## every fast test
	.venv/bin/python -m pytest

bench-exact: .venv/installed-test  ## byte-equality with TFLite's reference kernels, every quantized model
	.venv/bin/python -m tests.bench.exact

bench-int8: .venv/installed-test  ## accuracy of float against int8, every float model
	.venv/bin/python -m tests.bench.int8

bench-host: .venv/installed-test  ## seconds of a build, of the Python reference and of the host library
	.venv/bin/python -m tests.bench.host

bench-memory: .venv/installed-test  ## RAM against work of plans in patches, beside published ones and for every network
	.venv/bin/python -m tests.bench.memory
	.venv/bin/python -m tests.bench.memory --real

bench-patches: .venv/installed-test  ## cycles of networks in forced grids, against the same networks as a whole
	.venv/bin/python -m tests.bench.patches

bench-boards: .venv/installed-test  ## every network on an emulated Arduino Nano 33 BLE: bytes, memory, cycles
	.venv/bin/python -m tests.bench.boards

bench-latency: .venv/installed-test  ## the tables behind estimated latency (needs arm-none-eabi-gcc)
	.venv/bin/python -m tests.bench.latency --write
	.venv/bin/python -m tests.bench.latency_native --write

bench-code-size: .venv/installed-test  ## code of the C runtime on a Cortex-M4 (needs arm-none-eabi-gcc)
	.venv/bin/python -m tests.bench.code_size --write

bench-kernels: .venv/installed-test  ## cycles per MAC of every kernel and pair of widths, beside CMSIS-NN's
	.venv/bin/python -m tests.bench.kernels

bench-mlperf: .venv/installed-test  ## MLPerf Tiny at 8 bits on an emulated NUCLEO-L4R5ZI, beside published results
	.venv/bin/python -m tests.bench.mlperf

bench-mlperf-mixed: .venv/installed-test  ## MLPerf Tiny in mixed precision chosen by cycles: milliseconds and accuracy
	.venv/bin/python -m tests.bench.mlperf_mixed

bench-precision: .venv/installed-test  ## BitOPs saved and top-1 lost by mixed precision, five networks (hours)
	.venv/bin/python -m tests.bench.precision

bench-mixed-memory: .venv/installed-test  ## peak arena of mixes of widths against 8 bits, five networks
	.venv/bin/python -m tests.bench.mixed_memory

bench-mixed-latency: .venv/installed-test  ## whole networks in mixed precision chosen by cycles, emulated, against int8 patches
	.venv/bin/python -m tests.bench.mixed_latency

bench-ablation: .venv/installed-test  ## what each step towards accuracy brings (ARGS: its arguments; hours)
	.venv/bin/python -m tests.bench.ablation $(ARGS)

bench-tune: .venv/installed-test  ## what qmkit tune brings, three networks (hours; needs torch)
	.venv/bin/python -m tests.bench.tune

bench-searches: .venv/installed-test  ## every search at equal BitOPs, three networks (an hour)
	.venv/bin/python -m tests.bench.searches

sweep-vdqs: .venv/installed-test  ## how phi, lambda and bins move the result, three networks (an hour)
	.venv/bin/python -m tests.bench.sweep_vdqs

fuzz: .venv/installed-test  ## long fuzzing of the importer (minutes)
	.venv/bin/python -m tests.bench.fuzz_import

retrain:  ## train the example network again (needs examples/digits/requirements-train.txt)
	"$(PYTHON)" examples/digits/train.py

clean:  ## remove what the targets above made
	rm -rf .venv build .pytest_cache .hypothesis
