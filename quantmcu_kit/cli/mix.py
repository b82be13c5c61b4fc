"""How a mix of widths is shown: lines of a summary, and the same as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from quantmcu_kit.ir.branches import StaticClasses
from quantmcu_kit.ir.plans import MIXED, OUTLIER, WHOLE, PrecisionPlan
from quantmcu_kit.pipeline import Build
from quantmcu_kit.precision import Attempt, count_bitops
from quantmcu_kit.search.class_map import ClassMap

_MOST_LINES = 400
_SIGNS = {OUTLIER: "■", MIXED: "□"}


def mix_facts(result: Build) -> dict[str, object]:
    """What a build says about widths; all of them are 8 where nothing was searched for."""
    graph, mix = result.quantized.graph, result.quantized.mix
    if mix is None:
        chosen, _ = count_bitops(graph, result.layout.schedule, PrecisionPlan())
        return {
            "bitops": chosen,
            "bitops_int8_patch": chosen,
            "bits": {tensor.name: {WHOLE: tensor.dtype.bits} for tensor in graph.feature_maps()},
            "weight_bits": {},
            "patches": [],
            "search": None,
            "search_seconds": 0.0,
        }
    found = mix.result
    return {
        "bitops": found.bitops,
        "bitops_int8_patch": found.bitops_int8,
        "bits": {tensor: dict(by_class) for tensor, by_class in found.feature_maps.items()},
        "weight_bits": dict(found.weights),
        "patches": _patches(result),
        "search": {
            "strategy": found.strategy,
            "trade_off": found.trade_off,
            "vdpc": mix.attempts[0].name,
            "attempts": [vars(attempt) for attempt in mix.attempts],
            "scores": found.to_json()["scores"],
        },
        "search_seconds": round(mix.seconds, 3),
    }


def _patches(result: Build) -> list[dict[str, object]]:
    """The class of each patch; where each picture decides, how often it is an outlier on the calibration pictures."""
    mix = result.quantized.mix
    if mix.branches is None:
        return []
    if isinstance(mix.branches.rule, StaticClasses):
        names = np.array(mix.branches.rule.names)
        return ClassMap(names == OUTLIER).to_json()
    rate = mix.outliers.mean(axis=0)
    return [
        {"row": row, "col": column, "class": "dynamic", "outlier_share": round(float(rate[row, column]), 4)}
        for row, column in np.ndindex(rate.shape)
    ]


def mix_lines(result: Build) -> Iterator[tuple[str, str]]:
    """(label, text) for the summary of a build; nothing where all widths are 8."""
    mix = result.quantized.mix
    if mix is None:
        return
    found = mix.result
    maps = Counter(bits for by_class in found.feature_maps.values() for bits in by_class.values())
    weights = f"; weights {_shares(Counter(found.weights.values()))}" if found.weights else ""
    yield "bits", f"feature maps {_shares(maps)}{weights}"
    yield (
        "",
        (
            f"BitOPs {found.bitops / 1e6:,.0f} M of {found.bitops_int8 / 1e6:,.0f} M at 8 bits "
            f"(÷{found.bitops_int8 / max(1, found.bitops):.2f}), searched in {mix.seconds:.1f} s"
        ),
    )
    chosen = mix.attempts[0]
    others = ", ".join(f"{_title(each)}: {each.divergence:.4f}" for each in mix.attempts[1:])
    yield (
        "",
        f"predicted loss {chosen.divergence:.4f}, patch classes {_title(chosen)}"
        + (f" (tried {others})" if others else ""),
    )
    if mix.branches is None:
        return
    if isinstance(mix.branches.rule, StaticClasses):
        yield from zip(("patches", *[""] * _MOST_LINES), grid_lines(mix.branches.rule.names), strict=False)
    else:
        yield (
            "patches",
            f"each picture decides; {100 * chosen.outlier_share:.0f} % of the patches were outliers in calibration",
        )


def _title(attempt: Attempt) -> str:
    """The rule of its classes, and λ where the strategy has one."""
    return attempt.name if attempt.trade_off is None else f"{attempt.name} at λ {attempt.trade_off:g}"


def grid_lines(names: Sequence[Sequence[str]]) -> list[str]:
    """The class of each patch as a drawing, with a legend."""
    lines = [" ".join(_SIGNS[name] for name in row) for row in names]
    lines[0] += f"   {_SIGNS[OUTLIER]} outlier, {_SIGNS[MIXED]} mixed"
    return lines


def _shares(counts: Counter[int]) -> str:
    return ", ".join(f"{counts[bits]} of {bits} bits" for bits in sorted(counts, reverse=True))
