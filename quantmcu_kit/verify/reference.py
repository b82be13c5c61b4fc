"""Every feature map of a network for one input, by the integer reference; maps inside a stage with branch classes have
a value for each class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quantmcu_kit.ops.branches import BranchInterpreter
from quantmcu_kit.ops.interpret import Interpreter
from quantmcu_kit.ops.serialize_branches import Network


class Reference:
    """The maps of one input.

    Args:
        inputs: int8 [1, ...] by the tensor names of the network's inputs.
    Attributes:
        start: first node of the stage with branch classes, 0 where there is none.
        names: of the classes by their number.
        classes: number of the class of each patch [row steps, column steps].
    """

    def __init__(self, network: Network, inputs: Mapping[str, np.ndarray]) -> None:
        graph, branches = network.graph, network.branches
        self.start = 0
        self.names: tuple[str, ...] = ()
        self.classes = np.empty((0, 0), np.int64)
        self._of_class: tuple[Mapping[str, np.ndarray], ...] = ()
        self._in_patches: frozenset[str] = frozenset()
        if branches is None:
            self._maps = Interpreter(graph, integer=True, keep_all=True).run(inputs)
            return
        stage = network.schedule.stages[branches.stage]
        interpreter = BranchInterpreter(graph, network.schedule, branches, keep_all=True)
        self.start = stage.start
        self.names = branches.names
        self.classes = interpreter.numbers(inputs)[0]
        self._maps = interpreter.run(inputs)
        self._in_patches = frozenset(entry.tensor for entry in stage.patches.maps) - {stage.patches.input}
        self._of_class = interpreter.class_maps(inputs)

    @property
    def legend(self) -> str:
        """Which number is which class."""
        return ", ".join(f"{number} {name}" for number, name in enumerate(self.names))

    def map_of(self, tensor: str, number: int) -> np.ndarray:
        """A map without its batch axis, as patches of a class compute it."""
        maps = self._of_class[number] if tensor in self._in_patches else self._maps
        return maps[tensor][0]

    def class_of(self, tensor: str, number: int) -> str:
        """The class's name, empty for a map that is the same for all."""
        return self.names[number] if tensor in self._in_patches else ""
