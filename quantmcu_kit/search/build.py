"""Graph x schedule -> search problem: what may be lowered, who reads it, and what is in memory beside it.

Maps within a patched stage have a width per branch class. The maps at its two ends have one for all classes: patches
write them at the width that they have, whatever the patch's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.branches import inner_maps
from quantmcu_kit.ir.graph import Graph, Node
from quantmcu_kit.ir.plans import WHOLE
from quantmcu_kit.ir.schedule import Patches, Schedule, Stage
from quantmcu_kit.numerics.packing import weight_rows
from quantmcu_kit.ops.spec import OutputQuant
from quantmcu_kit.ops.table import TABLE
from quantmcu_kit.search.memory import patched_neighbours, whole_neighbours
from quantmcu_kit.search.problem import INT8, WIDTHS, Budgets, Choice, Key, Kind, Neighbours, Problem, Work

Shares = Mapping[str, np.ndarray]  # by branch class


@dataclass(frozen=True)
class Wants:
    """What the search may lower.

    Attributes:
        map_widths, weight_widths: candidates, from wide to narrow; ``(8,)`` leaves all at 8 bits.
        pinned: branch classes whose maps stay at 8 bits.
    """

    map_widths: tuple[int, ...] = WIDTHS
    weight_widths: tuple[int, ...] = (INT8,)
    pinned: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for widths in (self.map_widths, self.weight_widths):
            if not widths or not set(widths) <= set(WIDTHS) or list(widths) != sorted(set(widths), reverse=True):
                raise QmkitError(
                    "bad-widths",
                    f"{', '.join(map(str, widths)) or 'nothing'} cannot be the candidate widths",
                    why="they are some of 8, 4 and 2 bits, each once, from wide to narrow",
                )


def build(
    graph: Graph,
    ties: Sequence[Sequence[str]],
    schedule: Schedule | None = None,
    *,
    classes: Mapping[int, Shares] | None = None,
    wants: Wants | None = None,
    budgets: Budgets | None = None,
    fixed_bytes: Mapping[str, int] | None = None,
) -> Problem:
    """The search problem of a network, float or integer; Ω is still zero everywhere (:meth:`Problem.with_losses`).

    The network's inputs and outputs, and probabilities, stay at 8 bits, and so does what is tied to them.

    Args:
        ties: groups of maps with one quantization; maps that are in none stand alone.
        schedule: layer by layer where none is given.
        classes: by index of a patched stage: per branch class, float [row steps, column steps], the share of pictures
            in which each patch is of that class. All patches are of class ``WHOLE`` where a stage has no entry.
        fixed_bytes: RAM beside feature maps by name of the node: scratch.
    """
    schedule = schedule or Schedule.whole(graph)
    builder = _Builder(graph, ties, schedule, classes or {}, wants or Wants())
    works = tuple(work for index in range(len(schedule.stages)) for work in builder.works(index))
    neighbours = tuple(
        each for index in range(len(schedule.stages)) for each in builder.neighbours(index, fixed_bytes or {})
    )
    return Problem(tuple(builder.choices), works, neighbours, budgets or Budgets())


class _Builder:
    """A problem under construction.

    Attributes:
        choices: feature maps, then weights.
    """

    def __init__(
        self,
        graph: Graph,
        ties: Sequence[Sequence[str]],
        schedule: Schedule,
        classes: Mapping[int, Shares],
        wants: Wants,
    ) -> None:
        self._graph, self._schedule, self._wants = graph, schedule, wants
        self._shares = {index: _checked(schedule, index, shares) for index, shares in classes.items()}
        self._stage_of = self._inner_maps()
        self.choices: list[Choice] = []
        self._index: dict[Key, int] = {}
        self._weights: dict[str, int] = {}
        fixed = self._fixed()
        tied = {name for group in ties for name in group}
        for group in (*ties, *([t.name] for t in graph.feature_maps() if t.name not in tied)):
            self._add_maps(group, fixed)
        # Weights may be shared by nodes.
        weighted = [node for node in graph.nodes if TABLE[node.op].weight_axis is not None]
        for name, axis in {node.inputs[1]: TABLE[node.op].weight_axis for node in weighted}.items():
            self._weights[name] = len(self.choices)
            weights = graph.tensors[name]
            _, run = weight_rows(weights.shape, axis)
            self.choices.append(Choice(Kind.WEIGHTS, WHOLE, (name,), weights.elements, run, wants.weight_widths))

    def _inner_maps(self) -> dict[str, int]:
        """Index of the stage of each map that exists patch by patch only, where that stage has classes."""
        return {name: index for index in self._shares for name in inner_maps(self._schedule.stages[index].patches)}

    def _fixed(self) -> set[str]:
        """Maps that must have 8 bits."""
        ports = {port.tensor for port in (*self._graph.inputs, *self._graph.outputs)}
        scanned = {self._schedule.stages[index].patches.input for index in self._shares}  # what tells classes apart
        return ports | scanned | {n.output for n in self._graph.nodes if TABLE[n.op].output_quant is OutputQuant.UNIT}

    def _add_maps(self, group: Sequence[str], fixed: set[str]) -> None:
        """Choices of a group of tied maps: one per branch class that has some of them."""
        by_class: dict[str, list[str]] = {}
        for name in group:
            for branch_class in self._classes_of(name):
                by_class.setdefault(branch_class, []).append(name)
        is_fixed = bool(fixed & set(group))
        for branch_class, names in by_class.items():
            is_pinned = branch_class in self._wants.pinned
            widths = (INT8,) if is_fixed or is_pinned else self._wants.map_widths
            largest = max((self._graph.tensors[name] for name in names), key=lambda tensor: tensor.elements)
            run = largest.shape[-1] if largest.shape else 1
            self._index |= {(branch_class, name): len(self.choices) for name in names}
            self.choices.append(Choice(Kind.MAP, branch_class, tuple(names), largest.elements, run, widths))

    def _classes_of(self, name: str) -> tuple[str, ...]:
        stage = self._stage_of.get(name)
        return (WHOLE,) if stage is None else tuple(self._shares[stage])

    def _choice(self, name: str, branch_class: str) -> int:
        """Index of the choice of a map as patches of a class see it."""
        found = self._index.get((branch_class, name))
        return self._index[WHOLE, name] if found is None else found

    def _nodes(self, index: int) -> tuple[Node, ...]:
        stage = self._schedule.stages[index]
        return self._graph.nodes[stage.start : stage.end]

    def _root(self, name: str) -> str:
        """The map whose bytes a view is."""
        node = self._graph.producer(name)
        while node is not None and TABLE[node.op].is_view:
            name = self._graph.activation_inputs(node)[0]
            node = self._graph.producer(name)
        return name

    def works(self, index: int) -> list[Work]:
        """What a stage computes, per node and class."""
        patches = self._schedule.stages[index].patches
        found = []
        for node in self._nodes(index):
            inputs = self._graph.input_tensors(node)
            macs = TABLE[node.op].cost(node.attrs, inputs, self._graph.tensors[node.output]).macs
            is_weighted = TABLE[node.op].weight_axis is not None
            for branch_class, share in self._work_shares(index, patches, node).items():
                found.append(
                    Work(
                        node.name,
                        branch_class,
                        macs * share,
                        self._weights[node.inputs[1]] if is_weighted else None,
                        tuple(self._choice(name, branch_class) for name in self._graph.activation_inputs(node)),
                        self._choice(node.output, branch_class),
                    )
                )
        return found

    def _work_shares(self, index: int, patches: Patches | None, node: Node) -> dict[str, float]:
        """Per class, how much of a node's work on its whole map its patches do; more than 1 in all if some is done
        twice."""
        if patches is None:
            return {WHOLE: 1.0}
        # A reduction at the stage's end adds up the pixels that it reads; all others compute pixels that they write.
        by_tensor = patches.by_tensor
        is_tail = patches.accumulates and node.output == patches.output
        entry = by_tensor.get(self._root(self._graph.activation_inputs(node)[0]) if is_tail else node.output)
        if entry is None:
            return {WHOLE: 1.0}  # a view before the reduction
        fresh = np.outer([span.fresh for span in entry.rows], [span.fresh for span in entry.columns])
        _, height, width, _ = self._graph.tensors[entry.tensor].shape
        shares = self._shares.get(index) or {WHOLE: np.ones(fresh.shape)}
        return {name: float((fresh * share).sum()) / (height * width) for name, share in shares.items()}

    def neighbours(self, index: int, fixed_bytes: Mapping[str, int]) -> list[Neighbours]:
        """What is in memory together while a stage runs; per class where it has some."""
        stage = self._schedule.stages[index]
        if stage.patches is None:
            found = whole_neighbours(self._graph, stage, lambda name: self._choice(name, WHOLE))
        else:
            found = [
                dataclasses.replace(each, branch_class=branch_class)
                for branch_class in self._shares.get(index, {WHOLE: None})
                for each in patched_neighbours(
                    self._graph, stage, lambda name, branch_class=branch_class: self._choice(name, branch_class)
                )
            ]
        return [
            dataclasses.replace(each, fixed_bytes=each.fixed_bytes + fixed_bytes.get(each.where, 0)) for each in found
        ]


def _checked(schedule: Schedule, index: int, shares: Shares) -> Shares:
    """Shares that belong to a patched stage, have its shape, and add up to 1 for every patch."""
    stage: Stage | None = schedule.stages[index] if 0 <= index < len(schedule.stages) else None
    patches = stage.patches if stage else None
    if patches is None:
        raise QmkitError(
            "bad-classes", f"stage {index} has branch classes", why="it is no stage that runs patch by patch"
        )
    shape = (patches.row_steps, patches.column_steps)
    arrays = {name: np.asarray(share, float) for name, share in shares.items()}
    fits = bool(arrays) and WHOLE not in arrays and all(array.shape == shape for array in arrays.values())
    if not fits or not all(bool((array >= 0).all()) for array in arrays.values()):
        raise QmkitError(
            "bad-classes",
            f"the branch classes of stage {index} do not fit its patches",
            why=f"each class has a share per patch, [{shape[0]}, {shape[1]}], and a name other than {WHOLE!r}",
        )
    if not np.allclose(sum(arrays.values()), 1.0, rtol=0, atol=1e-9):
        raise QmkitError(
            "bad-classes", f"the branch classes of stage {index} do not add up to 1", why="a patch has one class"
        )
    return arrays
