"""``qmkit search``: the example network under several searches, as a table, as JSON and as a drawing; and refusals."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from tests.e2e.conftest import DIGITS

MODEL = DIGITS / "digits.tflite"
CALIBRATION = ("--images", DIGITS / "calibration", "--preprocess", "pm1", "--limit", 2)
SEARCH = ("search", MODEL, *CALIBRATION)
MACS = 7_583_744  # counted by hand from the architecture in examples/digits/network.py
KEYS = {
    "strategy", "predicted", "divergence", "gap", "bitops", "cycles", "ram_bytes", "flash_bytes", "search_seconds",
    "bits", "weight_bits",
}  # fmt: skip


@pytest.fixture
def searched(qmkit, tmp_path):
    """Run ``qmkit search`` with a cache of its own."""
    return lambda *flags: qmkit(*SEARCH, *flags, XDG_CACHE_HOME=str(tmp_path / "cache"))


def test_four_searches_at_one_budget(searched, tmp_path):
    names = ["uniform", "memory-driven", "vdqs", "milp"]
    rows = (DIGITS / "images" / "labels.csv").read_text().split()[1::5]
    lines = ["path,label", *(f"{DIGITS / 'images'}/{row}" for row in rows)]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    budget = ("--bitops", 0.6, "--map-widths", 8, "--weight-widths", "8,4")
    result = searched(*budget, "--json", "--plot", "out.svg", "--eval-images", "few.csv")
    assert result.code == 0, result.err or result.out
    facts = json.loads(result.out)
    whole, *rows = facts["rows"]
    assert whole["strategy"] == "int8" and whole["bitops"] == 64 * MACS and whole["divergence"] == 0
    assert [row["strategy"] for row in rows] == names and facts["failures"] == []
    for row in rows:
        assert KEYS <= set(row) and row["bitops"] <= 0.6 * 64 * MACS
        assert sum(row["bits"].values()) == whole["bits"]["8"]
        assert sum(row["weight_bits"].values()) == whole["weight_bits"]["8"]
        assert row["flash_bytes"] < whole["flash_bytes"] and row["lost"] is not None
    assert rows[0]["weight_bits"] == {"4": whole["weight_bits"]["8"]}  # uniform
    by_name = {row["strategy"]: row for row in rows}
    assert min(rows, key=lambda row: row["divergence"])["divergence"] == by_name["milp"]["divergence"]
    assert facts["n"] == 20 and facts["top1_float"] > 90
    drawing = ElementTree.parse(tmp_path / "out.svg").getroot()
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"int8", *names} <= set(words) and "digits.tflite: top-1 points lost, with 95 % intervals" in words
    assert list((tmp_path / "cache" / "qmkit" / "searches").glob("*.jsonl"))


def test_a_table_for_people(searched):
    result = searched("--bitops", 0.6, "--strategies", "uniform, memory-driven", "--proxy", "entropy")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["int8", "uniform", "memory-driven"]
    assert all(len(line.rstrip()) <= 100 for line in lines)


@pytest.mark.parametrize(
    "flags, code, exit_code",
    [
        (("--strategies", "magic"), "unknown-strategy", 2),
        (("--strategies", "vdqs,vdqs"), "bad-option", 2),
        (("--strategies", ""), "bad-option", 2),
        (("--bitops", 0.001), "infeasible-budget", 1),
        (("--plot", "no/such/folder.svg"), "not-writable", 2),
    ],
)
def test_refusals(searched, flags, code, exit_code):
    result = searched(*flags, "--json")
    assert (json.loads(result.out)["error"]["code"], result.code) == (code, exit_code)
