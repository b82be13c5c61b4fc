"""The method's claim as its paper makes it: BitOPs against int8 patches with recomputed halos, and top-1 lost.

python -m tests.bench.precision [--pictures N] [--targets R,R,...] [--grid RxC] [--free] [--refined [--effort S]]
                                [--plot FOLDER] [name ...]

"ratio" is BitOPs of the whole network in int8 patches that recompute their halos, by BitOPs of the mix on the same
grid. "bits" is the part of it that is due to widths alone; the rest is due to halos that are kept. Searches see
calibration pictures only; top-1 lost is against the float model on the same pictures of imagenet_val, paired, with its
95 % interval. "nats" is the divergence on calibration pictures, as the search left it; "KL" that on the measured ones.
Nothing is trained or reconstructed; with ``--refined`` constants are fitted as in a build, without
labels, and with ``--effort`` trained for so many seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from quantmcu_kit import precision
from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.numerics.intervals import paired_loss, share
from tests.bench import curves
from tests.bench.mixes import Network
from tests.bench.results import Results

NETWORKS = (
    "mobilenet_v2_05_160_float",
    "mobilenet_v2_05_224_float",
    "mobilenet_v2_10_224_float",
    "mcunet_320kb_float",
    "mcunet_512kb_float",
)
TARGETS = (1.3, 1.6, 2.2)
AGAIN, KEPT = "recompute", "reuse"
COLUMNS = [("network", 26), ("halo", 9), ("proxy", 7), ("vdpc", 16), ("ratio", 5), ("bits", 5), ("outliers", 8),
           ("nats", 7), ("KL", 6), ("top-1", 6), ("lost", 22), ("seconds", 7)]  # fmt: skip


def variants() -> Iterator[tuple[str, precision.Settings]]:
    """(halo, settings) of every row. Classes of patches need halos that are recomputed."""
    for proxy in ("entropy", "kl"):
        yield AGAIN, precision.Settings(proxy=proxy, vdpc="off")
    for rule in ("gaussian", "error"):
        for vdpc in ("static", "dynamic"):
            yield AGAIN, precision.Settings(vdpc=vdpc, vdpc_rule=rule)
    yield KEPT, precision.Settings(vdpc="off")


def _row(
    network: Network,
    schedule: Schedule,
    settings: precision.Settings,
    most: float | None,
    arguments: argparse.Namespace,
) -> dict[str, object]:
    started = time.perf_counter()
    mix = network.find(schedule, settings, most)
    if arguments.refined:
        mix = network.refined(mix, arguments.effort)
    seconds = time.perf_counter() - started
    hits, best = network.hits(mix), mix.attempts[0]
    return {
        "vdpc": best.name,
        "bits": f"{mix.result.bitops_int8 / mix.result.bitops:.2f}",
        "outliers": f"{best.outlier_share:.2f}",
        "nats": f"{best.divergence:.4f}",
        "KL": f"{network.divergence(mix):.4f}",
        "top-1": f"{share(hits).value:.2f}",
        "lost": str(paired_loss(network.float_hits, hits)),
        "seconds": f"{seconds:.0f}",
        "bitops": mix.result.bitops,
    }


def measure(name: str, arguments: argparse.Namespace, results: Results) -> None:
    """Every row of a network."""
    network = Network(name, arguments.pictures)
    schedules = {halo: network.schedule(arguments.grid, halo) for halo in (AGAIN, KEPT)}
    baseline = network.bitops_int8(schedules[AGAIN])
    hits = network.int8_hits()
    for halo, schedule in schedules.items():
        row = {
            "network": name,
            "halo": halo,
            "proxy": "int8",
            "ratio": f"{baseline / network.bitops_int8(schedule):.2f}",
        }
        results.add(**row, **{"top-1": f"{share(hits).value:.2f}", "lost": str(paired_loss(network.float_hits, hits))})
    targets = [float(each) for each in arguments.targets.split(",")]
    for target in [*targets, *([None] if arguments.free else [])]:
        for halo, settings in variants():
            most = None if target is None else baseline / target
            if most is None and (settings.vdpc != "off" or halo == KEPT):
                continue  # λ is a matter of the search, not of classes and halos
            if arguments.refined and settings.proxy == "entropy":
                continue  # widths that refinement does not save
            if most is not None and most >= network.bitops_int8(schedules[halo]):
                continue  # int8 gets there
            row: dict[str, object] = {"network": "", "halo": halo, "proxy": settings.proxy}
            try:
                row |= _row(network, schedules[halo], settings, most, arguments)
                results.add(**row, ratio=f"{baseline / row['bitops']:.2f}")
            except QmkitError as error:
                results.add(**row, vdpc=f"{settings.vdpc} {settings.vdpc_rule}", ratio=str(target), lost=error.code)


def plot(rows: Sequence[Mapping[str, object]]) -> str:
    """Curves of classes of patches, and of none, where halos are recomputed and divergences measured."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["halo"] == AGAIN and row["proxy"] == "kl" and "nats" in row:
            point = float(str(row["ratio"])), float(str(row["lost"]).split()[0])
            lines.setdefault(f"--vdpc {row['vdpc']}", []).append(point)
    return curves.draw(lines, "points of top-1 lost")


def main() -> None:
    """Measure every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=650)
    parser.add_argument("--targets", default=",".join(map(str, TARGETS)))
    parser.add_argument("--grid", default="4x4")
    parser.add_argument("--free", action="store_true", help="searches without a budget of BitOPs too")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--refined", action="store_true", help="fit constants to the mix, as a build does")
    parser.add_argument("--effort", type=float, default=0.0, help="with --refined: seconds of training")
    parser.add_argument("--plot", type=Path, help="folder for a drawing of each network's curves")
    arguments = parser.parse_args()
    results = Results("precision", COLUMNS)
    for name in NETWORKS:
        if not arguments.names or name in arguments.names:
            known = len(results.rows)
            measure(name, arguments, results)
            if arguments.plot:
                (arguments.plot / f"vdpc_{name.removesuffix('_float')}.svg").write_text(plot(results.rows[known:]))


if __name__ == "__main__":
    main()
