"""What each tool for accuracy gains, one after another: top-1 on labelled pictures, calibrated on others.

python -m tests.bench.ablation [--pictures N] [--seconds S] [--plans P,P,...] [name ...]

Plans: int8; w4a8, all weights at 4 bits; w4a8dw8, but for the first layer and depthwise ones; w4a4, those and all maps
but the ends and the first three; mix2.2, widths found by KL at BitOPs of 8 bits / 2.2, without patches.
Tools: nearest rounding of weights; second-order rounding (GPTQ) without and with bias correction; equalization;
feedback (fitting to quantized inputs) on 64 pictures, and on all; reconstruction of blocks; distillation of the whole.
Each row has those above it too, but "equalize" and "feedback" alone, which have second-order rounding only. Rows of
training are left out without torch. Figures are of the exact integer reference; "KL" is its divergence from the float
model in nats, "lost" against that model on the same pictures, paired, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Iterator

import numpy as np

from quantmcu_kit import accuracy, precision, quantize
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.plans import WHOLE, PrecisionPlan
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.numerics.intervals import paired_loss, share
from quantmcu_kit.ops.table import TABLE
from tests.bench.mixes import Network
from tests.bench.results import Results

NETWORKS = ("mobilenet_v2_05_160_float", "mcunet_320kb_float", "mobilenet_v2_10_224_float")
PLANS = ("int8", "w4a8", "w4a8dw8", "w4a4", "mix2.2")
COLUMNS = [("network", 26), ("plan", 8), ("tools", 22), ("KL", 6), ("top-1", 6), ("lost", 22), ("seconds", 7)]
_RATIO = 2.2
_EARLY_MAPS = 3  # that carry most of the damage at 4 bits
_MOST_ITERATIONS = 400


def plan_of(name: str, network: Network) -> PrecisionPlan:
    """The widths of a plan."""
    graph = network.graph
    weighted = [node for node in graph.nodes if TABLE[node.op].weight_axis is not None]
    if name == "int8":
        return PrecisionPlan()
    if name == "mix2.2":
        schedule = Schedule.whole(network.base)
        most = network.bitops_int8(schedule) / _RATIO
        return network.find(schedule, precision.Settings(vdpc="off"), most).result.precision
    spared = [weighted[0], *(node for node in weighted if node.op == "DEPTHWISE_CONV_2D")] if name != "w4a8" else []
    weights = {node.inputs[1]: 4 for node in weighted if node not in spared}
    if name != "w4a4":
        return PrecisionPlan(weights=weights)
    ports = {port.tensor for port in (*graph.inputs, *graph.outputs)}
    maps = [tensor.name for tensor in graph.feature_maps() if tensor.name not in ports]
    return PrecisionPlan(8, {(WHOLE, tensor): 4 for tensor in maps[_EARLY_MAPS:]}, weights)


def variants(network: Network, plan: PrecisionPlan, seconds: float) -> Iterator[tuple[str, Graph]]:
    """(tools, integer graph) of every row; time passes between one and the next."""
    graph, calibration, inputs = network.graph, network.calibration, network.training_inputs

    def applied(**changes: object) -> Graph:
        return quantize.apply(graph, calibration, plan, quantize.Settings(**changes))

    few = accuracy.spread(inputs, accuracy.FEEDBACK_PICTURES)

    def refined(given: np.ndarray = few, effort: accuracy.Settings | None = None, **changes: object) -> Graph:
        return accuracy.refine(graph, calibration, plan, quantize.Settings(**changes), given, effort).applied()

    yield "nearest", applied(rounding="nearest", bias_correction=False)
    yield "second-order", applied(bias_correction=False)
    yield "+ bias correction", applied()
    if plan.feature_maps:
        yield "equalize", refined(feedback=False)
        yield "feedback", refined(equalization=False)
        yield "equalize + feedback", refined()
    else:
        yield "feedback", refined()
    yield "+ more pictures", refined(inputs)
    if importlib.util.find_spec("torch") and seconds and (plan.feature_maps or plan.weights):
        for blocks, label in ((1.0, "+ reconstruction"), (accuracy.Settings.blocks_share, "+ distillation")):
            effort = accuracy.Settings(seconds=seconds, blocks_share=blocks, most_iterations=_MOST_ITERATIONS)
            yield label, refined(inputs, effort)


def measure(name: str, arguments: argparse.Namespace, results: Results) -> None:
    """Every row of a network."""
    network = Network(name, arguments.pictures)
    results.add(network=name, tools="float", **{"top-1": f"{share(network.float_hits).value:.2f}"})
    for plan_name in arguments.plans.split(","):
        plan, started = plan_of(plan_name, network), time.perf_counter()
        for tools, graph in variants(network, plan, arguments.seconds):
            seconds = time.perf_counter() - started
            hits: np.ndarray = network.hits_of(graph)
            lost = str(paired_loss(network.float_hits, hits))
            kl = f"{network.divergence_of(graph):.4f}"
            row = {"KL": kl, "top-1": f"{share(hits).value:.2f}", "lost": lost, "seconds": f"{seconds:.0f}"}
            results.add(network="", plan=plan_name, tools=tools, **row)
            started = time.perf_counter()


def main() -> None:
    """Measure every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=650)
    parser.add_argument("--seconds", type=float, default=300.0, help="of each row of training; 0 leaves them out")
    parser.add_argument("--plans", default=",".join(PLANS))
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("ablation", COLUMNS)
    for name in NETWORKS:
        if not arguments.names or name in arguments.names:
            measure(name, arguments, results)


if __name__ == "__main__":
    main()
