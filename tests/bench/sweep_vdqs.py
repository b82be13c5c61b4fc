"""How φ, λ and the number of histogram bins move the result: measured on three networks; the defaults follow.

python -m tests.bench.sweep_vdqs [--pictures N] [--plot FILE.svg] [name ...]

"nats" is the divergence of the output on calibration pictures, all widths together; top-1 lost is against the float
model on imagenet_val. Bins are those of the calibration histograms from which entropies are taken.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from quantmcu_kit import precision
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import Calibration, TensorStats
from quantmcu_kit.numerics.intervals import paired_loss
from tests.bench import curves
from tests.bench.mixes import Network
from tests.bench.results import Results

NETWORKS = ("mobilenet_v2_05_160_float", "mobilenet_v2_10_224_float", "mcunet_320kb_float")
LAMBDAS = {  # of proxies whose losses spread over other orders of magnitude
    "kl": (0.8, 0.9, 0.95, 0.98, 0.99, 0.995),
    "entropy": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9),
}
PHIS = (0.9, 0.95, 0.99, 0.999)
BINS = (64, 256, 1024)
TARGET = 1.6  # ÷BitOPs at which bins and φ are compared


def coarser(stats: TensorStats, bins: int) -> TensorStats:
    """The same counts in about so many bins, each made of a whole number of old ones."""
    step = max(1, len(stats.counts) // bins)
    padded = np.pad(stats.counts, (0, -len(stats.counts) % step))
    width = (stats.high - stats.low) / len(stats.counts)
    return dataclasses.replace(stats, counts=padded.reshape(-1, step).sum(axis=1), high=stats.low + width * len(padded))


def with_bins(calibration: Calibration, bins: int) -> Calibration:
    """A calibration that kept coarser histograms."""
    tensors = {name: coarser(stats, bins) for name, stats in calibration.tensors.items()}
    return dataclasses.replace(calibration, tensors=tensors)


def trials() -> Iterator[tuple[str, str, precision.Settings, int | None, float | None]]:
    """(what varies, its value, settings, bins, ÷BitOPs asked for)."""
    for proxy, values in LAMBDAS.items():
        for value in values:
            yield f"λ {proxy}", str(value), precision.Settings(proxy=proxy, vdpc="off", trade_off=value), None, None
    for bins in BINS:
        yield "bins entropy", str(bins), precision.Settings(proxy="entropy", vdpc="off"), bins, TARGET
    for value in PHIS:
        settings = precision.Settings(vdpc="dynamic", vdpc_rule="gaussian", phi=value)
        yield "φ dynamic", str(value), settings, None, TARGET


def measure(name: str, pictures: int, results: Results) -> list[Mapping[str, object]]:
    """Every row of a network."""
    network = Network(name, pictures)
    schedule = network.schedule("4x4", "recompute")
    baseline = network.bitops_int8(schedule)
    calibration = network.calibration
    rows: list[Mapping[str, object]] = []
    for varied, value, settings, bins, target in trials():
        network.calibration = calibration if bins is None else with_bins(calibration, bins)
        try:
            mix = network.find(schedule, settings, None if target is None else baseline / target)
        except QmkitError as error:  # so many outliers at 8 bits that no widths reach the target
            results.add(network=name, varied=varied, value=value, lost=error.code)
            continue
        lost = paired_loss(network.float_hits, network.hits(mix))
        best = mix.attempts[0]
        row = {"network": name, "varied": varied, "value": value, "ratio": baseline / mix.result.bitops,
               "outliers": best.outlier_share, "nats": f"{best.divergence:.4f}", "lost": str(lost),
               "points": lost.value}  # fmt: skip
        results.add(**row)
        rows.append(row)
    return rows


def plot(rows: list[Mapping[str, object]]) -> str:
    """An SVG: ÷BitOPs against top-1 lost, one line per network and proxy, one dot per λ."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if str(row["varied"]).startswith("λ"):
            key = f"{str(row['network']).removesuffix('_float')} {str(row['varied'])[2:]}"
            lines.setdefault(key, []).append((float(row["ratio"]), float(row["points"])))
    return curves.draw(lines, "points of top-1 lost")


def main() -> None:
    """Sweep over every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=260)
    parser.add_argument("--plot", type=Path, default=Path("build/bench/sweep-vdqs.svg"))
    parser.add_argument("names", nargs="*", default=NETWORKS)
    arguments = parser.parse_args()
    columns = [("network", 26), ("varied", 13), ("value", 6), ("ratio", 6), ("outliers", 8), ("nats", 8), ("lost", 22)]
    results = Results("sweep-vdqs", columns)
    rows = [row for name in arguments.names for row in measure(name, arguments.pictures, results)]
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    arguments.plot.write_text(plot(rows))


if __name__ == "__main__":
    main()
