"""Compiles a generated library for this machine and runs it, many inputs through one process."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType

import numpy as np

from quantmcu_kit.errors import EXIT_FAILED, QmkitError
from quantmcu_kit.host_compiler import accepts, find_compiler, sanitizer_flags, sanitizers
from quantmcu_kit.verify.contents import read_manifest
from quantmcu_kit.verify.trace import Trace, parse

_RUNNER = Path(__file__).with_name("runner.c")
_NATIVE = "-march=native"
_START_SECONDS = 60
_SLOWEST_MACS_PER_SECOND = 5e6  # far below what sanitized code reaches; a run that is slower hangs
_REPORT_LINES = 4


class Mode(Enum):
    """How the library is compiled."""

    FAST = "fast"  # optimised for this machine
    SANITIZED = "sanitized"  # address and undefined-behaviour sanitizers where the compiler has them
    TRACE = "trace"  # every layer's output is written


class HostLibrary:
    """A library compiled for this machine. Use it as a context manager, or call :meth:`close`.

    Args:
        path: folder of the library.
        mode: how to compile it.
    Raises:
        QmkitError: ``not-a-library``, ``compiler-missing`` or ``compile-failed``.
    """

    def __init__(self, path: Path, mode: Mode = Mode.FAST) -> None:
        self._manifest = read_manifest(path)
        self._mode = mode
        self._compiler = find_compiler()
        self.sanitizers = sanitizers(self._compiler) if mode is Mode.SANITIZED else ()
        self._folder = tempfile.TemporaryDirectory(prefix="qmkit-")
        self._program = Path(self._folder.name, "runner.exe")
        try:
            self._compile(path)
        except BaseException:
            self.close()
            raise

    @property
    def compiler(self) -> str:
        """Name of the compiler."""
        return self._compiler.name

    def __enter__(self) -> HostLibrary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the compiled program."""
        self._folder.cleanup()

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """int8 outputs [n, ...] per port of quantized inputs: int8 [n, ...] per port.

        Raises:
            QmkitError: ``library-crashed`` or ``library-hangs``.
        """
        count = len(inputs[0])
        rows = [_rows(array, np.int8, port.shape) for array, port in zip(inputs, self._manifest.inputs, strict=True)]
        return self._outputs(np.concatenate(rows, axis=1), count, "quantized")

    def run_pixels(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """int8 outputs [n, ...] per port of pictures: uint8 [n, h, w, channels]."""
        assert self._manifest.takes_pixels, "the library takes quantized input only"
        return self._outputs(_rows(pixels, np.uint8, self._manifest.inputs[0].shape), len(pixels), "pixels")

    def trace(self, *inputs: np.ndarray) -> Trace:
        """What each layer computed for one input per port: int8 [1, ...].

        Raises:
            QmkitError: ``library-crashed``, ``library-hangs`` or ``library-error``.
        """
        assert self._mode is Mode.TRACE, "tracing is compiled in"
        data = np.frombuffer(self._stream(b"".join(array.tobytes() for array in inputs), 1, "quantized"), np.uint8)
        return parse(data[: len(data) - self._output_bytes], self._manifest)

    @property
    def _output_bytes(self) -> int:
        return sum(_size(port.shape) for port in self._manifest.outputs)

    def _compile(self, path: Path) -> None:
        folder = Path(self._folder.name)
        (folder / "runner_config.h").write_text(self._config(), "utf-8")
        (folder / "runner.c").write_bytes(_RUNNER.read_bytes())
        flags = ["-std=c99", "-I", str(path / "src"), *self._mode_flags()]
        sources = sorted((path / "src").rglob("*.c"))
        self._compiler.compile([folder / "runner.c", *sources], flags, self._program)

    def _mode_flags(self) -> list[str]:
        if self._mode is Mode.SANITIZED:
            return ["-O2", "-g1", *sanitizer_flags(self.sanitizers)]
        if self._mode is Mode.TRACE:
            return ["-O2", f"-D{self._manifest.name.upper()}_TRACE"]
        return ["-O3", *([_NATIVE] if accepts(self._compiler, _NATIVE) else [])]

    def _config(self) -> str:
        """runner_config.h: the library's functions on the parts of one input and one output buffer."""
        manifest = self._manifest
        name, macro = manifest.name, manifest.name.upper()
        inputs, input_bytes = _parts("input", [port.shape for port in manifest.inputs])
        outputs, output_bytes = _parts("output", [port.shape for port in manifest.outputs])
        arena = f"arena, {macro}_ARENA_BYTES" + (", external" if manifest.external_bytes else "")
        quantized = f"{name}_run_quantized_in_arena({arena}, {inputs}, {outputs})"
        pixels = f"{name}_run_in_arena({arena}, (const uint8_t *)input, {outputs})"
        defines = {
            "ARENA_BYTES": f"{macro}_ARENA_BYTES",
            "ARENA_ALIGNMENT": f"{macro}_ARENA_ALIGNMENT",
            "INPUT_BYTES": input_bytes,
            "OUTPUT_BYTES": output_bytes,
            "RUN_QUANTIZED": quantized,
            "RUN_PIXELS": pixels if manifest.takes_pixels else quantized,
        }
        if manifest.external_bytes:
            defines["EXTERNAL_BYTES"] = f"{macro}_EXTERNAL_BYTES"
        if self._mode is Mode.TRACE:
            functions = {"TRACE": "trace", "TRACE_ROW": "trace_row", "TRACE_CLASS": "trace_class"}
            defines |= {f"{hook}_FUNCTION": f"{name}_{function}" for hook, function in functions.items()}
        return f"#include <{name}.h>\n" + "".join(f"#define {key} {value}\n" for key, value in defines.items())

    def _outputs(self, rows: np.ndarray, count: int, kind: str) -> tuple[np.ndarray, ...]:
        data = np.frombuffer(self._stream(rows.tobytes(), count, kind), np.int8).reshape(count, self._output_bytes)
        ends = np.cumsum([_size(port.shape) for port in self._manifest.outputs])
        parts = np.split(data, ends[:-1], axis=1)
        return tuple(
            part.reshape(count, *port.shape[1:]) for part, port in zip(parts, self._manifest.outputs, strict=True)
        )

    def _stream(self, data: bytes, count: int, kind: str) -> bytes:
        seconds = _START_SECONDS + count * self._manifest.macs / _SLOWEST_MACS_PER_SECOND
        # Findings end the program; leaks cannot exist without a heap, and looking for them fails under a debugger.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        try:
            result = subprocess.run(
                [str(self._program), kind], input=data, capture_output=True, timeout=seconds, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise QmkitError(
                "library-hangs",
                f"the compiled library gave no result within {seconds:.0f} s",
                why="no network of this size takes as long",
                hint="build the library again",
                exit_code=EXIT_FAILED,
            ) from error
        if result.returncode != 0:
            raise _crash(result.returncode, result.stderr)
        return result.stdout


def _crash(code: int, report: bytes) -> QmkitError:
    lines = [line.strip() for line in report.decode("utf-8", errors="replace").splitlines()]
    told = [line for line in lines if line and not set(line) <= set("=")][:_REPORT_LINES]
    ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return QmkitError(
        "library-crashed",
        f"the compiled library ended {ended}",
        why="; ".join(told) or "it printed no report",
        hint="build the library again; if it still happens, this is a defect of qmkit",
        exit_code=EXIT_FAILED,
    )


def _size(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _parts(buffer: str, shapes: Sequence[tuple[int, ...]]) -> tuple[str, int]:
    """C arguments ``buffer + offset`` for consecutive parts, and the bytes of all."""
    offsets = np.cumsum([0, *map(_size, shapes)])
    return ", ".join(f"{buffer} + {offset}" for offset in offsets[:-1]), int(offsets[-1])


def _rows(array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """[n, bytes] of inputs [n, ...]; raises ``bad-shape``."""
    if array.dtype != dtype or array.shape[1:] != tuple(shape[1:]):
        raise QmkitError(
            "bad-shape",
            f"the library takes {np.dtype(dtype)} {list(shape)}, not {array.dtype} {list(array.shape)}",
            why="the first axis counts inputs; the others are the network's",
        )
    return np.ascontiguousarray(array).reshape(len(array), _size(shape)).view(np.int8)
