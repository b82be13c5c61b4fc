"""VDPC: thresholds against scipy, outliers and classes by hand, both rules, bad input, drawings."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.search.class_map import ClassMap, draw
from quantmcu_kit.search.vdpc import (
    MIXED,
    OUTLIER,
    central_threshold,
    class_shares,
    fit_statistics,
    outlier_rate,
    rounded,
    static_outliers,
)


@pytest.mark.parametrize("mass", [1e-6, 0.5, 0.6827, 0.95, 0.99, 0.999, 1 - 1e-9, 1 - 2**-53])
def test_thresholds(mass):
    stats = pytest.importorskip("scipy.stats")
    assert central_threshold(mass) == pytest.approx(stats.norm.isf((1 - mass) / 2), rel=1e-9)


@pytest.mark.parametrize("mass", [0, 1, -0.5, 1.5, float("nan"), float("inf")])
def test_mass_out_of_range(mass):
    with pytest.raises(QmkitError) as caught:
        central_threshold(mass)
    assert caught.value.code == "bad-option"


def test_fits():
    # Centres 0.5, 1.5, 2.5, 3.5; mean (0.5 + 3·1.5 + 3.5)/5 = 1.7; variance (1.44 + 3·0.04 + 3.24)/5 = 0.96.
    fitted = fit_statistics(TensorStats(0.0, 4.0, np.array([1, 3, 0, 1]), 0.0, 4.0))
    assert (float(fitted.mean), float(fitted.std)) == pytest.approx((1.7, 0.96**0.5))
    constant = fit_statistics(TensorStats(0.3, 0.3, np.array([9]), 0.0, 1.0))
    assert (float(constant.mean), float(constant.std)) == (0.3, 0.0)


@pytest.mark.parametrize(
    ("value", "count", "code"),
    [
        (np.nan, 1, "not-finite"),
        (np.inf, 1, "not-finite"),
        (-np.inf, 1, "not-finite"),
        (1.0, 0, "bad-statistics"),
    ],
)
def test_statistics_that_cannot_be_fitted(value, count, code):
    with pytest.raises(QmkitError) as caught:
        fit_statistics(TensorStats(0.0, value, np.array([count]), 0.0, 1.0))
    assert caught.value.code == code


def test_static_rule():
    is_outlier = np.array([[[1, 0], [1, 1]], [[1, 0], [0, 1]], [[1, 0], [0, 0]], [[1, 0], [0, 0]]], bool)
    assert outlier_rate(is_outlier).tolist() == [[1.0, 0.0], [0.25, 0.5]]
    assert static_outliers(is_outlier, 0.0).tolist() == [[True, False], [True, True]]
    assert static_outliers(is_outlier, 0.25).tolist() == [[True, False], [False, True]]
    assert static_outliers(is_outlier, 0.5).tolist() == [[True, False], [False, False]]
    assert static_outliers(is_outlier[:1], 0.5).tolist() == [[True, False], [True, True]]  # one picture
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(QmkitError) as caught:
            static_outliers(is_outlier, share)
        assert caught.value.code == "bad-option"
    with pytest.raises(QmkitError) as caught:
        static_outliers(is_outlier[:0], 0.5)
    assert caught.value.code == "no-pictures"


def test_class_shares():
    shares = class_shares(np.array([[0.25, 1.0]]))
    assert {name: share.tolist() for name, share in shares.items()} == {OUTLIER: [[0.25, 1.0]], MIXED: [[0.75, 0.0]]}
    assert set(class_shares(np.ones((2, 2), bool))) == {OUTLIER}
    assert set(class_shares(np.zeros((2, 2), bool))) == {MIXED}


def test_rounding_to_a_range():
    # 2 bits over [0, 3]: levels 0, 1, 2, 3. Over [-1, 2]: zero is the second level.
    values = np.array([-4.0, 0.4, 1.6, 2.4, 9.0])
    assert rounded(values, 0.0, 3.0, 2).tolist() == [0, 0, 2, 2, 3]
    assert rounded(values, -1.0, 2.0, 2).tolist() == [-1, 0, 2, 2, 2]
    assert rounded(values, 0.0, 0.0, 4).tolist() == [0] * 5


def test_class_maps_as_data():
    class_map = ClassMap(np.array([[True, False, False], [False, True, False]]))
    assert (class_map.outliers, class_map.is_uniform) == (2, False)
    assert json.loads(json.dumps(class_map.to_json()))[:2] == [
        {"row": 0, "col": 0, "class": "outlier"},
        {"row": 0, "col": 1, "class": "mixed"},
    ]
    assert [entry["class"] for entry in class_map.to_json()].count("outlier") == 2
    assert ClassMap(np.ones((2, 2), bool)).is_uniform and ClassMap(np.zeros((2, 2), bool)).is_uniform
    for broken in (np.ones(3, bool), np.ones((0, 2), bool), np.ones((2, 2))):
        with pytest.raises(QmkitError):
            ClassMap(broken)


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30, 1), (20, 30), (300, 400, 3)])
def test_drawings(shape):
    class_map = ClassMap(np.array([[True, False]]))
    picture = np.full(shape, 100, np.uint8)
    data = draw(class_map, picture)
    assert data == draw(class_map, picture)
    image = np.asarray(Image.open(io.BytesIO(data)))
    factor = image.shape[0] // shape[0]
    assert image.shape == (shape[0] * factor, shape[1] * factor, 3)
    assert min(image.shape[:2]) >= 256
    # 35 % of the tint over 100.
    assert image[1, 1].tolist() == [round(65 + 0.35 * tint) for tint in (214, 39, 40)]
    assert image[-2, -2].tolist() == [round(65 + 0.35 * tint) for tint in (44, 160, 44)]
    assert image[5, image.shape[1] // 2].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "picture",
    [np.zeros((1, 1, 3), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros(8, np.uint8)],
)
def test_pictures_that_cannot_be_drawn_over(picture):
    with pytest.raises(QmkitError) as caught:
        draw(ClassMap(np.ones((2, 2), bool)), picture)
    assert caught.value.code == "bad-picture"
