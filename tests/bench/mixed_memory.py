"""Peak arena of mixes of widths against that of 8 bits: whole, in patches that compute nothing twice, and at the least.

python -m tests.bench.mixed_memory [name ...]

The mix is what `--bits auto` finds without a budget (proxy kl), the same with half of the BitOPs, and with half
of the RAM that the network takes whole at 8 bits. Patches are planned anew for its widths; inputs are pulled wherever
patches are used.
"""

from __future__ import annotations

import argparse

from quantmcu_kit import precision
from quantmcu_kit.boards.catalog import find
from quantmcu_kit.ir.graph import Graph
from quantmcu_kit.ir.schedule import Schedule
from quantmcu_kit.layout import lay_out
from quantmcu_kit.options import Options
from tests.bench.mixes import Network
from tests.bench.precision import NETWORKS
from tests.bench.results import Results

COLUMNS = [("network", 26), ("widths", 12), ("bits", 5), ("whole", 9), ("once", 8), ("least", 8)]
ONCE = Options(optimize="ram", cost_limit=1.0, cost="macs", input="rows")
LEAST = Options(optimize="ram", cost="macs", input="rows")
WHOLE = Options(patches="off")


def arenas(graph: Graph) -> dict[str, int]:
    """Bytes of the arena in each way to run."""
    board = find("nano33ble")
    ways = {"whole": WHOLE, "once": ONCE, "least": LEAST}
    return {name: lay_out(graph, board, options).memory.arena_bytes for name, options in ways.items()}


def main() -> None:
    """Every network, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    results = Results("mixed_memory", COLUMNS)
    for name in arguments.names or NETWORKS:
        network = Network(name, pictures=1)
        schedule = Schedule.whole(network.graph)
        at_8_bits = arenas(network.base)
        results.add(network=name, widths="int8", bits="1.00", **at_8_bits)
        half = network.bitops_int8(schedule) / 2
        for widths, most in (("mix", ()), ("half BitOPs", (half,)), ("half RAM", (None, at_8_bits["whole"] // 2))):
            mix = network.find(schedule, precision.Settings(vdpc="off"), *most)
            ratio = f"{mix.result.bitops_int8 / mix.result.bitops:.2f}"
            results.add(network="", widths=widths, bits=ratio, **arenas(mix.graph))


if __name__ == "__main__":
    main()
