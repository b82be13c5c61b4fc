"""TFLite's own kernels as the independent reference of tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Reference:
    """A model under TFLite's reference kernels (``BUILTIN_REF``), one picture at a time.

    Args:
        model: bytes of a .tflite file.
        keep_all: keep every feature map readable by :meth:`tensor` after a run.
    """

    def __init__(self, model: bytes, *, keep_all: bool = False) -> None:
        self._interpreter = Interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=keep_all,
        )
        self._interpreter.allocate_tensors()

    @property
    def input_shapes(self) -> list[tuple[int, ...]]:
        """Shape of each network input."""
        return [tuple(int(n) for n in detail["shape"]) for detail in self._interpreter.get_input_details()]

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The network's outputs, in order, for one array per network input."""
        for detail, value in zip(self._interpreter.get_input_details(), inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(detail["index"]) for detail in self._interpreter.get_output_details()]

    def tensor(self, index: int) -> np.ndarray:
        """Tensor ``index`` of the model file after the last run; needs ``keep_all``."""
        return self._interpreter.get_tensor(index)


def run_reference(model: bytes, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outputs [batch, ...] of a model run once per picture.

    Args:
        model: bytes of a .tflite file whose inputs have a leading axis of 1.
        batches: one array [batch, ...] per network input.
    """
    reference = Reference(model)
    runs = [reference.run(*(batch[i : i + 1] for batch in batches)) for i in range(len(batches[0]))]
    return [np.concatenate(outputs) for outputs in zip(*runs, strict=True)]
