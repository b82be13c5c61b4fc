"""The board catalog against PlatformIO's manifests, and its errors."""

import pytest

from quantmcu_kit.boards import catalog
from quantmcu_kit.errors import EXIT_BAD_INPUT, QmkitError

# (MHz, RAM, flash) from PlatformIO's board manifests.
MANIFESTS = {
    "nano33ble": (64, 262_144, 983_040),
    "xiaoblesense": (64, 237_568, 811_008),
    "uno_r4_wifi": (48, 32_768, 262_144),
    "nucleo_l4r5zi": (120, 655_360, 2_097_152),
    "nucleo_f746zg": (216, 327_680, 1_048_576),
    "nucleo_h743zi": (400, 524_288, 2_097_152),
    "portenta_h7_m7": (480, 523_624, 786_432),
    "nicla_vision": (480, 523_624, 786_432),
    "teensy41": (600, 524_288, 8_126_464),
    "pico": (133, 270_336, 2_097_152),
    "esp32-s3-devkitc-1": (240, 327_680, 8_388_608),
    "seeed_xiao_esp32s3": (240, 327_680, 8_388_608),
    "esp32cam": (240, 327_680, 4_194_304),
}


@pytest.mark.parametrize("board_id", MANIFESTS)
def test_figures_are_the_manifests(board_id):
    board = catalog.find(board_id)
    assert (board.clock_mhz, board.ram_bytes, board.flash_bytes) == MANIFESTS[board_id]


def test_every_core_leaves_memory():
    for board in catalog.boards():
        assert 0 < board.core_ram_bytes < board.ram_bytes, board.id
        assert 0 < board.core_flash_bytes < board.flash_bytes, board.id


def test_unknown_board_names_near_matches():
    with pytest.raises(QmkitError) as caught:
        catalog.find("nano33bel")
    assert caught.value.code == "unknown-board"
    assert caught.value.exit_code == EXIT_BAD_INPUT
    assert "nano33ble" in caught.value.hint


def test_unknown_board_without_neighbours_points_to_the_list():
    with pytest.raises(QmkitError) as caught:
        catalog.find("zzzzzzzzzz")
    assert "qmkit boards" in caught.value.hint
