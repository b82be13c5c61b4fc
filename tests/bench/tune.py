"""What ``qmkit tune`` gains: top-1 on labelled pictures, trained on others without their labels.

python -m tests.bench.tune [--pictures N] [--minutes M] [--plan P] [name ...]

Plans are those of the ablation; mix2.2 is found by KL at BitOPs of 8 bits / 2.2, without patches. "KL" is the
divergence from the float model in nats, "lost" against it on the same pictures, paired, with its 95 % interval; "held
out" the divergence on those pictures that judge in training. Figures are of the exact integer reference. A picture's
class may hang on single levels of narrow maps: two networks of one quality differ by a point or two on some hundred
pictures.
"""

from __future__ import annotations

import argparse
import time

from quantmcu_kit import accuracy, tuning
from quantmcu_kit.accuracy import TuneSettings
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.numerics.intervals import paired_loss, share
from tests.bench.ablation import plan_of
from tests.bench.mixes import Network
from tests.bench.models import entries, picture_set
from tests.bench.results import Results

NETWORKS = ("mobilenet_v2_05_160_float", "mcunet_320kb_float", "mobilenet_v2_10_224_float")
COLUMNS = [("network", 26), ("form", 10), ("KL", 6), ("top-1", 6), ("lost", 22), ("held out", 8), ("seconds", 7)]


def measure(name: str, arguments: argparse.Namespace, results: Results) -> None:
    """Every row of a network."""
    network = Network(name, arguments.pictures)
    results.add(network=name, form="float", **{"top-1": f"{share(network.float_hits).value:.2f}"})

    def add(form: str, graph: Graph, **more: str) -> None:
        hits = network.hits_of(graph)
        lost = str(paired_loss(network.float_hits, hits))
        kl = f"{network.divergence_of(graph):.4f}"
        results.add(network="", form=form, **{"KL": kl, "top-1": f"{share(hits).value:.2f}", "lost": lost, **more})

    add("8 bits", network.base)
    plan, inputs = plan_of(arguments.plan, network), network.training_inputs
    fitted = accuracy.refine(network.graph, network.calibration, plan, network.settings, inputs, None)
    start = fitted.applied()
    (entry,) = [entry for entry in entries("float") if entry.name == name]
    model = entry.load()
    pictures, preprocess = picture_set("imagenet_calib", model), entry.normalisation(model)
    samples = tuning.samples_of(pictures, preprocess, start, lambda *_: None)
    began = time.perf_counter()
    settings = TuneSettings(seconds=60 * arguments.minutes)
    found = accuracy.tune(network.graph, start, samples, settings, equalized=fitted.equalized)
    seconds = f"{time.perf_counter() - began:.0f}"
    add(arguments.plan, start, **{"held out": f"{found.before:.4f}"})
    add("tuned", fitted.applied(found.adjustments), **{"held out": f"{found.after:.4f}", "seconds": seconds})


def main() -> None:
    """Measure every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=650)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--plan", default="mix2.2")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("tune", COLUMNS)
    for name in NETWORKS:
        if not arguments.names or name in arguments.names:
            measure(name, arguments, results)


if __name__ == "__main__":
    main()
