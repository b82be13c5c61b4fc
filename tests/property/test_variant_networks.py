"""Random networks by random kernels of ``ops.variants``: the generated C, in the stated arena, equals the reference.

Whole, in patches, and with branch classes; of any widths; maps in the places of concatenations.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from quantmcu_kit.ops.branches import interpreter_of
from quantmcu_kit.ops.variants import VARIANTS
from tests.support import branch_cases, patched_cases
from tests.support.chosen_kernels import with_variants
from tests.support.patched_program import WAYS, Case, PatchedProgram

KINDS = {
    "int8": lambda: patched_cases.collected(40),
    "packed": lambda: patched_cases.collected(60, packed=True),
    "classes": lambda: branch_cases.collected(40),
}
PICTURES = 2


@pytest.fixture(scope="module", params=KINDS)
def cases(request) -> list[Case]:
    rng = np.random.default_rng(len(request.param))
    return [with_variants(case, rng) for case in KINDS[request.param]()]


def test_code_equals_the_interpreter(cases, tmp_path):
    program = PatchedProgram(cases, tmp_path)
    requests, expected = [], []
    for index, case in enumerate(cases):
        (port,) = case.graph.inputs
        rng = np.random.default_rng(index)
        x = rng.integers(-128, 128, (PICTURES, *case.graph.tensors[port.tensor].shape[1:])).astype(np.int8)
        (output,) = interpreter_of(case.graph, case.schedule, case.branches).run({port.tensor: x}).values()
        for number in range(PICTURES):
            requests += [(index, way, x[number : number + 1]) for way in range(len(WAYS))]
            expected += [output[number : number + 1]] * len(WAYS)
    for (index, way, _), got, wanted in zip(requests, program.run_all(requests), expected, strict=True):
        kernels = Counter(node.kernel for node in cases[index].graph.nodes if node.kernel)
        np.testing.assert_array_equal(got, wanted, err_msg=f"case {index}, {WAYS[way]}, {dict(kernels)}")


def test_variants_occur():
    """Whole, and in patches; all but one whose bounds random layers hardly ever meet."""
    whole: set[str] = set()
    tiled: set[str] = set()
    for kind, collect in KINDS.items():
        rng = np.random.default_rng(len(kind))
        for case in (with_variants(case, rng) for case in collect()):
            for stage in case.schedule.stages:
                names = {node.kernel for node in case.graph.nodes[stage.start : stage.end]} - {""}
                (tiled if stage.patches else whole).update(names)
    assert whole == set(VARIANTS) - {"depthwise_poly"}
    assert tiled == {name for name in whole if not name.startswith("fully_connected")}
