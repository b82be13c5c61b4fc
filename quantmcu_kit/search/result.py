"""What every search for widths returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from quantmcu_kit.ir.plans import PrecisionPlan
from quantmcu_kit.search.problem import INT8, Assignment, Kind, Problem, bitops


@dataclass(frozen=True)
class Score:
    """What a strategy thought of one candidate width.

    Attributes:
        tensor: the first of the choice's tensors.
        omega: normalised loss Ω; phi: normalised cost saved Φ; score: S, where more is better.
    """

    kind: Kind
    tensor: str
    branch_class: str
    bits: int
    omega: float
    phi: float
    score: float


@dataclass(frozen=True)
class SearchResult:
    """Widths, and what they cost. Equal searches give equal results; only ``seconds`` differ.

    Attributes:
        strategy: the name of what found it.
        feature_maps: bits by tensor and branch class.
        weights: bits by tensor.
        scores: of every candidate; empty for strategies that have none.
        ram_bytes: the arena, or a lower bound: see :meth:`Problem.ram_bytes`.
        flash_bytes: of packed weights and what the problem counts beside them.
        bitops: per picture, with what patches compute again.
        bitops_int8: of the same schedule with 8 bits everywhere.
        cycles: per picture, None where the problem has no cycle model.
        trade_off: the λ that the scores were made with, None for strategies that have none.
        gap: by how much of its predicted loss, at most, another assignment may lose less; None where nobody knows.
        seconds: the search took.
    """

    strategy: str
    feature_maps: Mapping[str, Mapping[str, int]]
    weights: Mapping[str, int]
    scores: tuple[Score, ...]
    ram_bytes: int
    flash_bytes: int
    bitops: int
    bitops_int8: int
    cycles: float | None
    trade_off: float | None = None
    gap: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def precision(self) -> PrecisionPlan:
        """As the plan that later stages take."""
        maps = {
            (name, tensor): bits for tensor, by_class in self.feature_maps.items() for name, bits in by_class.items()
        }
        return PrecisionPlan(INT8, maps, self.weights)

    def to_json(self) -> dict[str, object]:
        """As data for ``json.dumps``."""
        return {
            "strategy": self.strategy,
            "lambda": self.trade_off,
            "gap": self.gap,
            "bits": {tensor: dict(by_class) for tensor, by_class in self.feature_maps.items()},
            "weight_bits": dict(self.weights),
            "ram_bytes": self.ram_bytes,
            "flash_bytes": self.flash_bytes,
            "bitops": self.bitops,
            "bitops_int8_patch": self.bitops_int8,
            "cycles": self.cycles,
            "search_seconds": self.seconds,
            "scores": [
                {
                    "kind": each.kind.value,
                    "tensor": each.tensor,
                    "class": each.branch_class,
                    "bits": each.bits,
                    "omega": each.omega,
                    "phi": each.phi,
                    "score": each.score,
                }
                for each in self.scores
            ],
        }


def result_of(
    problem: Problem,
    assignment: Assignment,
    strategy: str,
    *,
    scores: tuple[Score, ...] = (),
    trade_off: float | None = None,
    gap: float | None = None,
    seconds: float = 0.0,
) -> SearchResult:
    """An assignment as a result, its costs computed."""
    plan = problem.precision(assignment)
    maps: dict[str, dict[str, int]] = {}
    for (branch_class, tensor), bits in plan.feature_maps.items():
        maps.setdefault(tensor, {})[branch_class] = bits
    return SearchResult(
        strategy=strategy,
        feature_maps=maps,
        weights=plan.weights,
        scores=scores,
        ram_bytes=problem.ram_bytes(assignment),
        flash_bytes=problem.flash_bytes(assignment),
        bitops=round(problem.total(bitops, assignment)),
        bitops_int8=round(problem.total(bitops, (INT8,) * len(problem.choices))),
        cycles=None if problem.cycles is None else problem.total(problem.cycles, assignment),
        trade_off=trade_off,
        gap=gap,
        seconds=seconds,
    )
