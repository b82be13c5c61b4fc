"""The float reference: the TFLite runtime in a child process, so that its crash is an error message."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from types import TracebackType

import numpy as np

from quantmcu_kit.calibrate import protocol
from quantmcu_kit.calibrate.accumulate import PACKED_ARRAYS, Accumulator, NotFiniteError
from quantmcu_kit.calibrate.protocol import Message
from quantmcu_kit.errors import EXIT_ENVIRONMENT, QmkitError

# The child imports from where this process does; `python -m` would look into the working directory first.
_WORKER = "import sys; sys.path[:] = sys.argv[1:]; from quantmcu_kit.calibrate.runtime_worker import main; main()"
_LOAD_SECONDS = 60.0
_PICTURE_SECONDS = 20.0  # for one picture; MobileNetV2-1.0@224 takes 0.17 s with the reference kernels
_STOP_SECONDS = 2.0


class FloatReference:
    """A model loaded into the TFLite runtime. Use as a context manager: the child process ends with it.

    Args:
        model: the bytes of the ``.tflite`` file.
        reference_kernels: use TFLite's reference kernels, whose integer results are the bytes to equal; slow.
        load_seconds, picture_seconds: time limits of loading and of one picture.
    Raises:
        QmkitError: ``no-runtime`` (exit code 3), ``runtime-refused``, ``runtime-crashed``, ``runtime-timeout``.
    """

    def __init__(
        self,
        model: bytes,
        reference_kernels: bool = False,
        *,
        load_seconds: float = _LOAD_SECONDS,
        picture_seconds: float = _PICTURE_SECONDS,
    ) -> None:
        self._picture_seconds = picture_seconds
        self._errors = tempfile.TemporaryFile()
        self._timed_out = False
        self._process = _start(self._errors)
        try:
            data = np.frombuffer(model, np.uint8)
            self._request(Message(protocol.LOAD, (data,), (int(reference_kernels),)), load_seconds)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FloatReference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process. May be called twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:  # the child is gone and left unflushed bytes behind
                pass
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def outputs(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The network's outputs, [n, ...] each, in the model file's order.

        Args:
            inputs: one array [n, ...] per network input, in the model file's order, shape and type.
        """
        return list(self._run(protocol.RUN, inputs, ()).arrays)

    def feature_maps(self, inputs: Sequence[np.ndarray], indices: Sequence[int]) -> list[np.ndarray]:
        """The tensors with the given indices in the model file, [n, ...] each; ``inputs`` as for :meth:`outputs`."""
        return list(self._run(protocol.FEATURE_MAPS, inputs, tuple(indices)).arrays)

    def observe(self, inputs: Sequence[np.ndarray], indices: Sequence[int]) -> list[Accumulator]:
        """Statistics over these inputs of the float tensors with the given indices in the model file.

        Raises:
            NotFiniteError: a tensor became NaN or infinite; says which.
        """
        answer = self._run(protocol.OBSERVE, inputs, tuple(indices))
        if answer.verb == protocol.NOT_FINITE:
            raise NotFiniteError(answer.numbers[0])
        starts = range(0, len(answer.arrays), PACKED_ARRAYS)
        return [Accumulator.unpack(answer.arrays[start : start + PACKED_ARRAYS]) for start in starts]

    def _run(self, verb: str, inputs: Sequence[np.ndarray], numbers: tuple[int, ...]) -> Message:
        seconds = self._picture_seconds * max(1, len(inputs[0]))
        return self._request(Message(verb, tuple(inputs), numbers), seconds)

    def _request(self, request: Message, seconds: float) -> Message:
        watchdog = threading.Timer(seconds, self._kill)
        watchdog.start()
        try:
            protocol.write(self._process.stdin, request)
            answer = protocol.read(self._process.stdout)
        except (EOFError, OSError, ValueError) as error:
            raise self._died(seconds, error) from None
        finally:
            watchdog.cancel()
        if answer.verb == protocol.MISSING:
            raise QmkitError(
                "no-runtime",
                "the TFLite runtime is not installed",
                why=answer.text,
                hint="pip install ai-edge-litert",
                exit_code=EXIT_ENVIRONMENT,
            )
        if answer.verb == protocol.REFUSED:
            raise QmkitError("runtime-refused", "the TFLite runtime refuses the model or its input", why=answer.text)
        return answer

    def _kill(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _died(self, seconds: float, error: Exception) -> QmkitError:
        if self._timed_out:
            return QmkitError("runtime-timeout", f"the TFLite runtime did not answer within {seconds:g} s")
        if isinstance(error, ValueError):
            return QmkitError("runtime-crashed", "the TFLite runtime's process sent no valid answer", why=str(error))
        code = self._process.wait(_STOP_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return QmkitError(
            "runtime-crashed",
            f"the TFLite runtime crashed with {f'signal {-code}' if code < 0 else f'exit code {code}'}",
            why=lines[-1] if lines else "",
            hint="the model is broken, or the runtime is: does it run elsewhere?",
        )


def _start(errors: object) -> subprocess.Popen:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, *map(str, sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
    )
