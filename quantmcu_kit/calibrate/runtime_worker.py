"""The child process that runs the TFLite runtime. Its stdin and stdout speak :mod:`protocol`; a crash stays in here."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np

from quantmcu_kit.calibrate import protocol
from quantmcu_kit.calibrate.accumulate import Accumulator, NotFiniteError
from quantmcu_kit.calibrate.protocol import Message

_MEMORY_LIMIT = 16 << 30  # bytes of address space: a lying model must not exhaust the machine


def main() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints to stdout must not get between the messages
    warnings.simplefilter("ignore")
    _limit_memory()
    try:
        runtime = _import_runtime()
    except ImportError as error:
        protocol.read(sys.stdin.buffer)  # whoever is still writing a request would not look for the answer
        protocol.write(answers, Message(protocol.MISSING, text=str(error)))
        return
    session = _Session(runtime)
    while True:
        try:
            request = protocol.read(sys.stdin.buffer)
        except EOFError:
            return
        protocol.write(answers, session.answer(request))


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY or soft > _MEMORY_LIMIT:
        with contextlib.suppress(OSError, ValueError):  # macOS knows the limit, but may refuse to set it
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, hard))


def _import_runtime() -> object:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        try:
            from tflite_runtime import interpreter  # 2.14, the last one under this name; needs numpy < 2
        except ModuleNotFoundError:
            raise error from None
    return interpreter


class _Session:
    """One loaded model, run plainly for outputs and with every tensor kept for feature maps."""

    def __init__(self, runtime: object) -> None:
        self._runtime = runtime
        self._model = b""
        self._reference_kernels = False
        self._interpreters: dict[bool, object] = {}
        self._handlers: dict[str, Callable[[Message], Message]] = {
            protocol.LOAD: self._load,
            protocol.RUN: self._run,
            protocol.FEATURE_MAPS: self._feature_maps,
            protocol.OBSERVE: self._observe,
        }

    def answer(self, request: Message) -> Message:
        """Carry out one request; the runtime's own exceptions become a refusal."""
        try:
            return self._handlers[request.verb](request)
        except (RuntimeError, ValueError, TypeError, IndexError, MemoryError) as error:
            return Message(protocol.REFUSED, text=str(error) or type(error).__name__)

    def _load(self, request: Message) -> Message:
        self._model = request.arrays[0].tobytes()
        self._reference_kernels = bool(request.numbers[0])
        self._interpreter(keep_all=False)
        return Message(protocol.DONE)

    def _interpreter(self, keep_all: bool) -> object:
        if keep_all not in self._interpreters:
            kinds = self._runtime.OpResolverType
            kind = kinds.AUTO  # with XNNPACK, the fastest
            if keep_all:
                kind = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # a delegate would hide the tensors inside it
            if self._reference_kernels:
                kind = kinds.BUILTIN_REF
            interpreter = self._runtime.Interpreter(
                model_content=self._model,
                num_threads=1,
                experimental_op_resolver_type=kind,
                experimental_preserve_all_tensors=keep_all,
            )
            interpreter.allocate_tensors()
            self._interpreters[keep_all] = interpreter
        return self._interpreters[keep_all]

    def _pictures(self, request: Message, keep_all: bool) -> Iterator[object]:
        """The interpreter after each picture of the request."""
        interpreter = self._interpreter(keep_all)
        details = interpreter.get_input_details()
        if len(details) != len(request.arrays):
            raise ValueError(f"the network has {len(details)} inputs, not {len(request.arrays)}")
        for index in range(len(request.arrays[0])):
            for detail, array in zip(details, request.arrays, strict=True):
                interpreter.set_tensor(detail["index"], array[index : index + 1])
            interpreter.invoke()
            yield interpreter

    def _gather(self, request: Message, keep_all: bool, indices: list[int]) -> Message:
        rows = [
            [interpreter.get_tensor(index) for index in indices] for interpreter in self._pictures(request, keep_all)
        ]
        return Message(protocol.DONE, tuple(np.concatenate(column) for column in zip(*rows, strict=True)))

    def _run(self, request: Message) -> Message:
        details = self._interpreter(keep_all=False).get_output_details()
        return self._gather(request, False, [detail["index"] for detail in details])

    def _feature_maps(self, request: Message) -> Message:
        return self._gather(request, True, list(request.numbers))

    def _observe(self, request: Message) -> Message:
        indices = request.numbers
        accumulators = [Accumulator() for _ in indices]
        for interpreter in self._pictures(request, keep_all=True):
            for index, accumulator in zip(indices, accumulators, strict=True):
                try:
                    accumulator.add(interpreter.get_tensor(index))
                except NotFiniteError:
                    return Message(protocol.NOT_FINITE, numbers=(index,))
        return Message(protocol.DONE, tuple(array for accumulator in accumulators for array in accumulator.pack()))
