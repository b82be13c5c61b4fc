"""How far a network's outputs move: nats for a class vector, variances of the output for anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.emit import class_count
from quantmcu_kit.ir.graph import Graph

Values = Mapping[str, np.ndarray]  # feature maps by name, the leading axis is the batch


@dataclass(frozen=True)
class Yardstick:
    """What is compared.

    Attributes:
        tensors: the maps that are compared: of a class vector the logits, as 8-bit probabilities are too coarse.
        is_class_vector: whether a softmax of the one tensor says how likely each class is.
    """

    tensors: tuple[str, ...]
    is_class_vector: bool

    @staticmethod
    def of(graph: Graph) -> Yardstick:
        """The yardstick of a network: Kullback-Leibler divergence where it tells classes apart."""
        names = tuple(port.tensor for port in graph.outputs)
        is_class_vector = bool(class_count(graph))
        last = graph.producer(names[0])
        if is_class_vector and last is not None and last.op == "SOFTMAX":
            return Yardstick((last.inputs[0],), True)
        is_probability = last is not None and last.op == "LOGISTIC"
        return Yardstick(names, is_class_vector and not is_probability)

    def read(self, graph: Graph, values: Values) -> np.ndarray:
        """float64 [n, values]: log-probabilities, or the outputs side by side; ``graph`` is float or integer."""
        rows = [_real(graph, name, values[name]).reshape(len(values[name]), -1) for name in self.tensors]
        flat = np.concatenate(rows, axis=1).astype(np.float64)
        return _log_softmax(flat) if self.is_class_vector else flat

    def distance(self, reference: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """float64 [n]: per picture, KL(reference, moved) in nats; or the mean squared difference of the outputs.

        Args:
            reference, moved: from :meth:`read`.
        """
        if self.is_class_vector:
            return (np.exp(reference) * (reference - moved)).sum(axis=1)
        return np.square(moved - reference).mean(axis=1)


def _real(graph: Graph, name: str, values: np.ndarray) -> np.ndarray:
    quant = graph.tensors[name].quant
    return values if quant is None or values.dtype.kind == "f" else quant.dequantize(values)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
