"""What every search for widths is given: what may be chosen, what it costs, what it loses, and the budgets.

A width is chosen per *choice*: feature maps of one branch class that must have the same width, or a weight tensor. An
assignment is a tuple with the width of each choice, in bits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.numerics.packing import packed_bytes

WIDTHS = (8, 4, 2)  # that kernels know
INT8 = 8

Assignment = tuple[int, ...]
Key = tuple[str, str]  # (branch class, feature map)
Losses = Mapping[int, float]  # by width


class Kind(Enum):
    """What a choice is about."""

    MAP = "map"
    WEIGHTS = "weights"


@dataclass(frozen=True)
class Choice:
    """One width to be chosen.

    Attributes:
        kind: feature maps, or a weight tensor.
        branch_class: of the feature maps; weights are shared by all classes.
        tensors: maps whose operators cannot rescale, so that they have one width; or the one weight tensor.
        elements: of the largest of them.
        run: of these, how many follow one another before a byte begins anew (``numerics.packing``).
        widths: candidates, from wide to narrow; a single one is fixed.
        losses: Ω of each candidate, in the unit of the proxy, not normalised.
    """

    kind: Kind
    branch_class: str
    tensors: tuple[str, ...]
    elements: int
    run: int
    widths: tuple[int, ...]
    losses: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        assert self.tensors and self.widths == tuple(sorted(set(self.widths), reverse=True)), self
        if not self.losses:
            object.__setattr__(self, "losses", (0.0,) * len(self.widths))
        assert len(self.losses) == len(self.widths), self
        if not all(math.isfinite(loss) for loss in self.losses):
            raise QmkitError(
                "bad-loss",
                f"the loss of {self.name!r} at {_words(self.widths)} bits is {_words(self.losses)}",
                why="a search compares losses, which infinities and NaN do not allow",
                hint="look for NaN or Inf in the network's weights and in the calibration data",
            )

    @property
    def name(self) -> str:
        """The first of its tensors."""
        return self.tensors[0]

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.widths) == 1

    def loss(self, bits: int) -> float:
        """Ω at a candidate width."""
        return self.losses[self.widths.index(bits)]

    def below(self, bits: int) -> int | None:
        """The next narrower candidate."""
        return next((width for width in self.widths if width < bits), None)

    def weight_bytes(self, bits: int) -> int:
        """Bytes in flash of a weight tensor."""
        return self.elements // self.run * packed_bytes(self.run, bits)


@dataclass(frozen=True)
class Work:
    """What one node computes in patches of one branch class.

    Attributes:
        name: of the node.
        macs: multiply-accumulates per picture: an expectation where patches change their class from picture to picture.
        weights: index of the choice of its weights; None where it has none.
        inputs: indices of the choices of its feature-map inputs.
        output: index of the choice of its output.
    """

    name: str
    branch_class: str
    macs: float
    weights: int | None
    inputs: tuple[int, ...]
    output: int


# (work, bits of weights, bits of each input, bits of the output) -> cost per picture. Weights that are absent have 8.
CostFunction = Callable[[Work, int, tuple[int, ...], int], float]


def bitops(work: Work, weight_bits: int, input_bits: tuple[int, ...], output_bits: int) -> float:
    """MACs · b_w · b_a, as in the paper. Nodes without weights multiply nothing."""
    return 0.0 if work.weights is None else work.macs * weight_bits * input_bits[0]


@dataclass(frozen=True)
class Block:
    """A feature map, or a tile of one, in memory: each pixel begins in a byte of its own (``numerics.packing``)."""

    choice: int
    pixels: int
    channels: int

    def bytes(self, bits: int) -> int:
        """Bytes at a width."""
        return self.pixels * packed_bytes(self.channels, bits)


@dataclass(frozen=True)
class Overlap:
    """Two blocks that share memory: all of the smaller one, or so many bytes of it.

    Attributes:
        first, second: indices into the blocks.
        most: bytes that they share at most; None: any.
    """

    first: int
    second: int
    most: int | None = None

    def bytes(self, sizes: Sequence[int]) -> int:
        """Bytes that they share, of blocks of these sizes."""
        shared = min(sizes[self.first], sizes[self.second])
        return shared if self.most is None else min(shared, self.most)


@dataclass(frozen=True)
class Neighbours:
    """Maps that are in memory at the same time.

    Attributes:
        where: the node that needs them.
        fixed_bytes: beside the blocks: sums, scratch.
        branch_class: of the patch that is computed.
    """

    where: str
    blocks: tuple[Block, ...]
    overlaps: tuple[Overlap, ...] = ()
    fixed_bytes: int = 0
    branch_class: str = WHOLE

    @property
    def place(self) -> str:
        """For people."""
        return self.where if self.branch_class == WHOLE else f"{self.where}, patches of class {self.branch_class!r}"

    def bytes(self, assignment: Sequence[int]) -> int:
        """Bytes of all blocks. No map's going down makes them more."""
        sizes = [block.bytes(assignment[block.choice]) for block in self.blocks]
        return self.fixed_bytes + sum(sizes) - sum(overlap.bytes(sizes) for overlap in self.overlaps)


@dataclass(frozen=True)
class Unit:
    """What the user counts a budget in: so much of it, by this name; ``beside`` is what no widths change."""

    size: float
    name: str
    beside: float = 0.0


@dataclass(frozen=True)
class Budgets:
    """Upper limits; None: any.

    Attributes:
        ram_bytes: of neighbours, and of the arena where the problem can tell it.
        flash_bytes: of packed weights and what else the problem counts.
        bitops: per picture.
        cycles: per picture, in the unit of the problem's cycle model.
        units: what the user gave a budget in, by name of the field; by default in the field's own.
    """

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    bitops: float | None = None
    cycles: float | None = None
    units: Mapping[str, Unit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in dataclasses.fields(self)[:-1]:
            value = getattr(self, entry.name)
            beside = self.units[entry.name].beside if entry.name in self.units else 0.0
            if value is not None and not (value + beside > 0 and math.isfinite(value)):
                raise QmkitError(
                    "bad-budget", f"a budget of {value} {entry.name} is not possible", why="it is a positive number"
                )


@dataclass(frozen=True)
class Problem:
    """Everything that a strategy may look at.

    Attributes:
        choices: feature maps first, then weights.
        works: what is computed, in order.
        neighbours: lower bounds of RAM: what is alive together, layer by layer.
        cycles: the processor's cycle model, None where there is none.
        by_cycles: cost saved is counted in cycles, not in BitOPs.
        arena: the exact arena in bytes of a precision plan, None where the neighbours are all that is known.
        fixed_flash_bytes: flash beside the weights: constants per channel, code.
        evaluate: measured losses [pictures] of an assignment, all choices together, in the unit of a measured Ω; takes
            as long as measuring a few of them alone. None where nothing can be measured.
    """

    choices: tuple[Choice, ...]
    works: tuple[Work, ...]
    neighbours: tuple[Neighbours, ...]
    budgets: Budgets = Budgets()
    cycles: CostFunction | None = None
    by_cycles: bool = False
    arena: Callable[[PrecisionPlan], int] | None = None
    fixed_flash_bytes: int = 0
    evaluate: Callable[[Assignment], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if self.cycles is None and (self.by_cycles or self.budgets.cycles is not None):
            raise QmkitError(
                "no-cycle-model",
                "cycles were asked for, and there is no cycle model",
                why="the board's processor has none",
                hint="--cost bitops, and no --latency",
            )

    @property
    def cost(self) -> CostFunction:
        """What lowering a width is to save."""
        return self.cycles if self.by_cycles and self.cycles is not None else bitops

    @cached_property
    def works_of(self) -> tuple[tuple[int, ...], ...]:
        """Per choice, the works that it takes part in, by index."""
        found: list[list[int]] = [[] for _ in self.choices]
        for index, work in enumerate(self.works):
            parts = {*work.inputs, work.output} | ({work.weights} if work.weights is not None else set())
            for part in parts:
                found[part].append(index)
        return tuple(tuple(each) for each in found)

    @property
    def widest(self) -> Assignment:
        """Every choice at its widest candidate."""
        return tuple(choice.widths[0] for choice in self.choices)

    @property
    def narrowest(self) -> Assignment:
        """Every choice at its narrowest candidate."""
        return tuple(choice.widths[-1] for choice in self.choices)

    def cost_of(self, index: int, cost: CostFunction, assignment: Sequence[int]) -> float:
        """Cost of one work."""
        work = self.works[index]
        weight_bits = INT8 if work.weights is None else assignment[work.weights]
        return cost(work, weight_bits, tuple(assignment[each] for each in work.inputs), assignment[work.output])

    def total(self, cost: CostFunction, assignment: Sequence[int]) -> float:
        """Cost of a picture."""
        return sum(self.cost_of(index, cost, assignment) for index in range(len(self.works)))

    def predicted(self, assignment: Sequence[int]) -> float:
        """Sum of what each choice loses alone."""
        return sum(choice.loss(bits) for choice, bits in zip(self.choices, assignment, strict=True))

    def flash_bytes(self, assignment: Sequence[int]) -> int:
        """Packed weights, and what is fixed."""
        pairs = zip(self.choices, assignment, strict=True)
        return self.fixed_flash_bytes + sum(c.weight_bytes(bits) for c, bits in pairs if c.kind is Kind.WEIGHTS)

    def ram_bytes(self, assignment: Assignment) -> int:
        """The exact arena where it is known, else that of the hungriest neighbours, which no arena can go below."""
        if self.arena is not None:
            return self.arena(self.precision(assignment))
        return max((each.bytes(assignment) for each in self.neighbours), default=0)

    def precision(self, assignment: Assignment) -> PrecisionPlan:
        """The assignment as a plan."""
        maps: dict[Key, int] = {}
        weights: dict[str, int] = {}
        for choice, bits in zip(self.choices, assignment, strict=True):
            if choice.kind is Kind.WEIGHTS:
                weights[choice.name] = bits
            else:
                maps |= {(choice.branch_class, name): bits for name in choice.tensors}
        return PrecisionPlan(INT8, maps, weights)

    def assignment(self, plan: PrecisionPlan) -> Assignment:
        """A plan as an assignment.

        Raises:
            QmkitError: ``bad-assignment``: a width is no candidate, or tied maps differ.
        """
        return tuple(_chosen(choice, plan) for choice in self.choices)

    def with_losses(self, maps: Mapping[Key, Losses], weights: Mapping[str, Losses] | None = None) -> Problem:
        """The problem with Ω filled in. Maps of one choice lose what the one that loses most does.

        Args:
            maps: by (branch class, map); a class without an entry has that of ``WHOLE``.
            weights: by tensor.

        Raises:
            QmkitError: ``no-loss``: a choice that is not fixed has no entry; ``bad-loss``: one is NaN or infinite.
        """
        return dataclasses.replace(
            self, choices=tuple(_with_loss(choice, maps, weights or {}) for choice in self.choices)
        )


def _chosen(choice: Choice, plan: PrecisionPlan) -> int:
    if choice.kind is Kind.WEIGHTS:
        found = {plan.weights.get(name, plan.default) for name in choice.tensors}
    else:
        found = {plan.bits(name, choice.branch_class) for name in choice.tensors}
    if len(found) > 1 or not found <= set(choice.widths):
        raise QmkitError(
            "bad-assignment",
            f"{choice.name!r} cannot have {_words(sorted(found))} bits",
            why=f"{_words(choice.tensors)} must have one width out of {_words(choice.widths)}",
        )
    return found.pop()


def _with_loss(choice: Choice, maps: Mapping[Key, Losses], weights: Mapping[str, Losses]) -> Choice:
    if choice.is_fixed:
        return choice
    if choice.kind is Kind.WEIGHTS:
        tables = [weights.get(name) for name in choice.tensors]
    else:
        tables = [maps.get((choice.branch_class, name), maps.get((WHOLE, name))) for name in choice.tensors]
    known = [table for table in tables if table is not None]
    if not known or any(bits not in table for table in known for bits in choice.widths):
        raise QmkitError(
            "no-loss",
            f"nothing says what {choice.name!r} loses at {_words(choice.widths)} bits",
            why="calibration did not see it",
        )
    losses = []
    for bits in choice.widths:
        values = [float(table[bits]) for table in known]
        losses.append(max(values) if all(map(math.isfinite, values)) else math.nan)
    return dataclasses.replace(choice, losses=tuple(losses))


def _words(values: Sequence[object]) -> str:
    return ", ".join(str(value) for value in values)
