"""What the kit supports, as data for `qmkit inspect --support`."""

from __future__ import annotations

from dataclasses import dataclass

from quantmcu_kit.ops.table import TABLE


@dataclass(frozen=True)
class SupportedOp:
    """An operator and the sentences that say in which forms it is supported.

    Attributes:
        name: TFLite's name.
        constraints: what must hold; the same sentences that errors cite.
        folds_away: whether it is supported only where it becomes a constant or vanishes before code is generated.
    """

    name: str
    constraints: tuple[str, ...]
    folds_away: bool


def supported_ops() -> tuple[SupportedOp, ...]:
    """Every operator of ``ops.table``, by name."""
    return tuple(
        SupportedOp(
            name,
            tuple(" ".join((constraint.__doc__ or constraint.__name__).split()) for constraint in spec.constraints),
            folds_away=spec.int_ref is None,
        )
        for name, spec in sorted(TABLE.items())
    )
