"""RAM against work: plans of patches beside msf-CNN's published ones, and real networks from least RAM to least work.

python -m tests.bench.memory [--real] [name ...]

Every figure of ours is the arena of generated C, which was compiled with sanitizers and compared, byte by byte, with
the network that runs as a whole. As in msf-CNN, feature maps count and the network's input does not, as it comes by
rows; what our patches hold of the input counts. msf-CNN: arXiv 2505.11483, result files of the authors' optimiser.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from quantmcu_kit import emit, memory, patch, pipeline
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.patch.plan import Plan, plan_front
from quantmcu_kit.verify import verify_library
from tests.bench.models import entries
from tests.bench.results import Results
from tests.support.topologies import mcunet_320kb, mcunet_vww, mobilenet_v2_035

Topology = tuple[str, Callable[[], Graph], Sequence[tuple[int, float]]]
PUBLISHED: tuple[Topology, ...] = (  # peak bytes at a factor of the multiply-accumulates that are needed once
    (
        "MbV2-0.35@144",
        mobilenet_v2_035,
        ((181_440, 1.000), (83_133, 1.019), (67_996, 1.097), (63_603, 1.230), (25_803, 1.253), (21_389, 1.298),
         (15_199, 1.382), (8_560, 1.680)),
    ),
    (
        "MCUNet-320KB@176",
        mcunet_320kb,
        ((247_808, 1.000), (217_891, 1.041), (156_864, 1.369), (94_224, 1.455), (63_456, 2.020), (51_164, 2.695)),
    ),
    (
        "MCUNetV2-vww@80",
        mcunet_vww,
        ((89_600, 1.000), (45_283, 1.023), (26_240, 1.113), (17_904, 1.345), (15_368, 1.957)),
    ),
)  # fmt: skip
COLUMNS = [
    ("network", 28), ("msf-CNN", 9), ("factor", 8), ("arena", 9), ("at factor", 9), ("in its RAM", 10),
    ("at least", 9), ("differing", 9),
]  # fmt: skip


class Measured:
    """Arenas of a network's plans, each built and verified once."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self._graph, self._folder = graph, folder
        self._known: dict[Plan, tuple[int, int]] = {}

    def arena(self, plan: Plan) -> tuple[int, int]:
        """Bytes of the arena of the generated C, and how many of its outputs differ from the whole network's."""
        if plan not in self._known:
            schedule = patch.lay_out(self._graph, plan)
            placed = memory.plan(self._graph, schedule)
            files = emit.render(self._graph, placed, name="net", board="nano33ble", schedule=schedule)
            path = emit.write(files, self._folder / f"plan_{len(self._known)}")
            self._known[plan] = placed.arena_bytes, verify_library(path).mismatches
        return self._known[plan]


def compare(topology: Topology) -> Iterator[dict[str, object]]:
    """One row per published point: our least RAM at its factor, and our least factor in its RAM."""
    name, make, published = topology
    graph = make()
    front = plan_front(graph, pull_input=True)
    once = front[-1].macs
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(graph, Path(folder))
        for ram, factor in published:
            ours = min((plan for plan in front if plan.macs <= factor * once), key=lambda plan: plan.ram_bytes)
            arena, differing = measured.arena(ours)
            fitting = (plan for plan in reversed(front) if plan.ram_bytes <= ram)
            cheap = next(plan for plan in fitting if measured.arena(plan)[0] <= ram)
            in_its_ram, more = measured.arena(cheap)
            yield {
                "network": name,
                "msf-CNN": ram,
                "factor": f"{factor:.3f}",
                "arena": arena,
                "at factor": f"{ours.macs / once:.3f}",
                "in its RAM": in_its_ram,
                "at least": f"{cheap.macs / once:.3f}",
                "differing": differing + more,
                "ok": arena < ram and in_its_ram <= ram and cheap.macs <= factor * once and not differing + more,
            }
        arena, differing = measured.arena(front[0])
        yield {
            "network": f"{name}, least",
            "arena": arena,
            "at factor": f"{front[0].macs / once:.3f}",
            "differing": differing,
            "ok": not differing,
        }


def real(name: str, graph: Graph) -> Iterator[dict[str, object]]:
    """A row each: as a whole, without work done twice, and in least RAM; the input comes by rows where that goes."""
    whole = memory.plan(graph).arena_bytes
    yield {"network": name, "msf-CNN": "whole", "arena": whole, "at factor": "1.000", "ok": True}
    front = plan_front(graph, pull_input=True) or plan_front(graph)
    once = min(plan.macs for plan in front)
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(graph, Path(folder))
        cheap = min((plan for plan in front if plan.macs == once), key=lambda plan: plan.ram_bytes)
        for what, plan in (("once", cheap), ("least", front[0])):
            arena, differing = measured.arena(plan)
            yield {
                "network": "",
                "msf-CNN": what,
                "arena": arena,
                "at factor": f"{plan.macs / once:.3f}",
                "differing": differing,
                "ok": not differing,
            }


def main() -> None:
    """Compare the topologies; then, with ``--real``, the real networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("memory", COLUMNS)
    for topology in PUBLISHED:
        for row in compare(topology) if not arguments.real else ():
            results.add(**row)
    for entry in entries("float", "int8-exact", "uint8", "odd", "structure") if arguments.real else ():
        if arguments.names and entry.name not in arguments.names:
            continue
        model = entry.load()
        for row in real(entry.name, model.graph if model.is_integer else pipeline.sized_graph(model)):
            results.add(**row)
    if not all(row["ok"] for row in results.rows):
        raise SystemExit("a published plan is not beaten, or outputs differ")


if __name__ == "__main__":
    main()
