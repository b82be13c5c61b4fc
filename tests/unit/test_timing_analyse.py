"""The arrays of an analysis: regions, block costs, divides, and what a core does not have."""

import random
import time

import numpy as np
import pytest

from quantmcu_kit.boards.catalog import boards
from quantmcu_kit.emulate.timing import Confidence, Divide, analyse, divide_extra, timing_model
from quantmcu_kit.errors import EXIT_BAD_INPUT, QmkitError

START = 0x0800_0000
CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
ARRAYS = ("instructions", "sizes", "cycles", "entry_extra", "taken_extra")


def analyse_hex(text, core="cortex-m4f", regions=None):
    code = bytes.fromhex(text)
    return analyse(core, code, START, regions if regions is not None else [(START, START + len(code))])


def test_arrays_have_an_entry_per_halfword():
    timing = analyse_hex("0130 50f8041b 08bd")  # adds r0, #1; ldr r1, [r0], #4; pop {r3, pc}
    assert timing.instructions.tolist() == [1, 1, 0, 1]
    assert timing.sizes.tolist() == [2, 4, 0, 2]
    assert timing.cycles.tolist() == [1, 3, 0, 3]
    assert timing.entry_extra.tolist() == [0, -1, 0, 0]
    assert timing.taken_extra.tolist() == [0, 0, 0, 3]
    assert [getattr(timing, name).dtype for name in ARRAYS] == [np.uint8, np.uint8, np.uint8, np.int8, np.uint8]


def test_data_between_regions_is_not_code():
    # ldr r0, [pc, #4]; bx lr; .word 0xE800F000; ldr r1, [r0]
    regions = [(START, START + 4), (START + 8, START + 10)]
    timing = analyse_hex("0148 7047 00f000e8 0168", regions=regions)
    assert timing.instructions.tolist() == [1, 1, 0, 0, 1]
    assert timing.cycles.tolist() == [2, 1, 0, 0, 2]  # nothing pipelines across data
    assert timing.illegal == ()


def test_regions_are_cut_to_the_code():
    timing = analyse_hex("0130 0130", regions=[(START - 8, START + 2), (START + 2, START + 80)])
    assert timing.instructions.tolist() == [1, 1]


def test_an_instruction_that_is_cut_short_is_illegal():
    timing = analyse_hex("0130 50f8")
    assert timing.illegal == (START + 2,)
    assert timing.sizes.tolist() == [2, 2]


def test_no_code():
    timing = analyse("cortex-m4f", b"", START, [])
    assert len(timing.cycles) == 0 and timing.illegal == ()


def test_divides_and_multiword_accesses():
    # udiv r0, r1, r2; sdiv r3, r4, r5; ldrd r0, r1, [r2]; ldr r0, [r1]; push {r4}; vldr s0, [r0]; stm r0!, {r1}
    timing = analyse_hex("b1fbf2f0 94fbf5f3 d2e90001 0868 10b4 90ed000a 02c0")
    assert timing.divides == (Divide(START, 1, 2, False), Divide(START + 4, 4, 5, True))
    assert timing.multiword == (START + 8, START + 14, START + 16, START + 20)


@pytest.mark.parametrize(
    "text, cores",
    [
        ("0130", set(CORES)),  # adds r0, #1
        ("08b1", set(CORES) - {"cortex-m0plus"}),  # cbz r0
        ("40f20100", set(CORES) - {"cortex-m0plus"}),  # movw r0, #1
        ("21fb0200", {"cortex-m4f", "cortex-m7", "cortex-m33"}),  # smlad r0, r1, r2, r0
        ("30ee810a", {"cortex-m4f", "cortex-m7", "cortex-m33"}),  # vadd.f32 s0, s1, s2
        ("31ee020b", {"cortex-m7"}),  # vadd.f64 d0, d1, d2
        ("00fe810a", {"cortex-m7", "cortex-m33"}),  # vseleq.f32 s0, s1, s2
        ("d1e8af0f", {"cortex-m33"}),  # lda r0, [r1]
        ("00de", set()),  # udf
        ("40ef0000", set()),  # Neon
    ],
)
def test_which_core_has_what(text, cores):
    assert {core for core in CORES if not analyse_hex(text, core).illegal} == cores


def test_a_list_of_registers_that_cannot_be():
    # vldm r0, with 255 words: no core has as many registers, and 256 cycles would not fit
    timing = analyse_hex("90ecff0a")
    assert timing.cycles.tolist() == [1 + 32, 0]


def test_no_pair_spans_a_branch_target():
    # On the Cortex-M7 adds; adds; adds would pair first and second; the loop's branch leads to the second.
    timing = analyse_hex("0130 0131 0132 fcd1", "cortex-m7")  # adds r0; 1: adds r1; adds r2; bne 1b
    assert timing.cycles.tolist() == [1, 1, 0, 1]
    assert timing.entry_extra.tolist() == [0, 0, 1, 0]


def test_entering_by_a_branch_costs_what_the_first_instruction_costs_alone():
    code = random.Random(3).randbytes(20_000)
    for core in CORES:
        timing = analyse(core, code, START, [(START, START + len(code))])
        for index in np.flatnonzero(timing.instructions)[::97].tolist():
            offset, size = 2 * index, int(timing.sizes[index])
            alone = analyse(core, code[offset : offset + size], START, [(START, START + size)])
            assert timing.cycles[index] + timing.entry_extra[index] == alone.cycles[0]


def test_random_code_never_raises():
    code = random.Random(4).randbytes(50_000)
    for core in CORES:
        timing = analyse(core, code, START, [(START, START + len(code))])
        assert (timing.cycles[timing.instructions == 0] == 0).all()
        assert timing.illegal == tuple(sorted(set(timing.illegal)))


@pytest.mark.parametrize("core, most", [("cortex-m3", 12), ("cortex-m4f", 12), ("cortex-m7", 12), ("cortex-m33", 11)])
def test_divides_take_from_fewest_to_most(core, most):
    """The manuals: 2 to 12 cycles, 2 to 11 on the Cortex-M33."""
    fewest = 2
    assert divide_extra(core, 0, 7, False) == 0
    assert divide_extra(core, 5, 0, False) == 0
    assert divide_extra(core, 0xFFFFFFFF, 1, False) == most - fewest
    assert divide_extra(core, 0x80000000, 1, True) == most - fewest
    assert divide_extra(core, 0xFFFFFFFF, 1, True) == divide_extra(core, 1, 1, False) == 1  # -1 / 1
    extras = [divide_extra(core, (1 << bits) - 1, 1, False) for bits in range(33)]
    assert extras == sorted(extras)


def test_every_emulated_board_has_a_model():
    for board in boards():
        if board.flash_start is not None:
            model = timing_model(board.cpu)
            assert model.core == board.cpu
            assert model.source and all(note.endswith(".") for note in model.notes)


def test_confidence():
    tables = {core for core in CORES if timing_model(core).confidence is Confidence.TABLE}
    assert tables == {"cortex-m0plus", "cortex-m3", "cortex-m4f"}


def test_an_unknown_core_is_refused():
    with pytest.raises(QmkitError) as caught:
        analyse("cortex-m4", b"", START, [])
    assert caught.value.code == "no-timing-model" and caught.value.exit_code == EXIT_BAD_INPUT
    assert "cortex-m4f" in caught.value.hint


def test_sixty_kilobytes_take_less_than_half_a_second():
    code = random.Random(5).randbytes(6_000) * 10  # programs repeat themselves more than that
    started = time.process_time()
    analyse("cortex-m7", code, START, [(START, START + len(code))])
    assert time.process_time() - started < 0.5
