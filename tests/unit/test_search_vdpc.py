"""VDPC: thresholds against scipy, outliers and classes by hand, both rules, bad input, drawings."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from quantmcu_kit.errors import QmkitError
from quantmcu_kit.ir.plans import TensorStats
from quantmcu_kit.ir.region import Interval
from quantmcu_kit.ir.schedule import Span
from quantmcu_kit.search.class_map import ClassMap, draw
from quantmcu_kit.search.vdpc import (
    MIXED,
    OUTLIER,
    Gaussian,
    central_threshold,
    class_shares,
    even_intervals,
    fit_pictures,
    fit_statistics,
    fresh_intervals,
    harmed_patches,
    outlier_mask,
    outlier_patches,
    outlier_rate,
    patch_errors,
    rounded,
    static_outliers,
)

UNIT = Gaussian(np.float64(0.0), np.float64(1.0))
HALVES = (Interval(0, 2), Interval(2, 4))


def one_spike(pictures=1, value=5.0, y=3, x=0):
    """[n, 4, 4, 1] of zeros; the first picture has one value."""
    maps = np.zeros((pictures, 4, 4, 1), np.float32)
    maps[0, y, x, 0] = value
    return maps


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
    maps = np.random.default_rng(0).normal(3, 2, (3, 5, 4, 2)).astype(np.float32)
    maps[2] = 0.1
    each = fit_pictures(maps)
    assert each.mean == pytest.approx(maps.reshape(3, -1).mean(axis=1, dtype=float))
    assert each.std == pytest.approx(maps.reshape(3, -1).std(axis=1, dtype=float), abs=1e-9)
    assert each.std[2] == 0 and each.mean[2] == np.float32(0.1)


def test_outliers_lie_outside_the_central_mass():
    maps = np.array([-2.0, -1.9, 0.0, 1.95, 1.97, 9.0], np.float32).reshape(1, 2, 3, 1)
    assert outlier_mask(maps, UNIT, 0.95).ravel().tolist() == [True, False, False, False, True, True]  # z = 1.95996
    # Per picture: the same values shifted and stretched have the same outliers.
    both = np.concatenate([maps, 10 + 3 * maps])
    gaussian = Gaussian(np.array([0.0, 10.0]), np.array([1.0, 3.0]))
    assert (outlier_mask(both, gaussian, 0.95)[0] == outlier_mask(both, gaussian, 0.95)[1]).all()
    # Of a normal distribution, 1 − φ are outliers.
    normal = np.random.default_rng(1).normal(size=(1, 200, 200, 5))
    assert outlier_mask(normal, fit_pictures(normal), 0.9).mean() == pytest.approx(0.1, abs=0.005)


def test_a_constant_map_has_no_outliers_and_all_else_is_one():
    maps = np.full((1, 4, 4, 1), 0.1, np.float32)
    gaussian = fit_pictures(maps)
    assert not outlier_mask(maps, gaussian, 0.5).any()
    maps = maps.copy()
    maps[0, 0, 0, 0] = 0.2
    assert outlier_mask(maps, gaussian, 0.999).sum() == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_maps_that_are_not_finite(value):
    maps = one_spike(value=value)
    for call in (
        lambda: fit_pictures(maps),
        lambda: outlier_mask(maps, UNIT, 0.9),
        lambda: patch_errors(maps, UNIT, (0.0, 1.0), 4, HALVES, HALVES),
        lambda: fit_statistics(TensorStats(0.0, value, np.array([1]), 0.0, 1.0)),
    ):
        with pytest.raises(QmkitError) as caught:
            call()
        assert caught.value.code == "not-finite"


def test_maps_of_other_shapes_and_empty_statistics():
    for maps in (np.zeros((4, 4, 1)), np.zeros((0, 4, 4, 1)), np.zeros((1, 4, 0, 1))):
        with pytest.raises(QmkitError) as caught:
            outlier_mask(maps, UNIT, 0.9)
        assert caught.value.code == "bad-shape"
    with pytest.raises(QmkitError) as caught:
        fit_statistics(TensorStats(0.0, 1.0, np.array([0]), 0.0, 1.0))
    assert caught.value.code == "bad-statistics"


def test_patches_that_hold_an_outlier():
    mask = outlier_mask(one_spike(), UNIT, 0.99)
    assert outlier_patches(mask, HALVES, HALVES).tolist() == [[[False, False], [True, False]]]
    # Halos overlap: row 3 belongs to the second row of patches only, column 0 to both here.
    wide = (Interval(0, 3), Interval(0, 4))
    assert outlier_patches(mask, HALVES, wide).tolist() == [[[False, False], [True, True]]]
    # A step that reads nothing new holds nothing.
    spans = (Span(0, 0, 3), Span(1, 3, 3), Span(2, 3, 4))
    assert fresh_intervals(spans) == (Interval(0, 3), Interval(3, 3), Interval(3, 4))
    assert outlier_patches(mask, fresh_intervals(spans), HALVES).tolist() == [[[False] * 2, [False] * 2, [True, False]]]
    assert even_intervals(7, 3) == (Interval(0, 2), Interval(2, 4), Interval(4, 7))


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


def test_error_rule():
    # 4x4 map, 2 bits over [0, 3]: the left half is on levels; upper right is 0.25 off; lower right is cut by 1 twice.
    maps = np.zeros((1, 4, 4, 1))
    maps[0, :, :2, 0] = 2.0
    maps[0, :2, 2:, 0] = 1.25
    maps[0, 2:, 2:, 0] = [[4.0, 4.0], [3.0, 0.0]]
    gaussian = Gaussian(np.float64(1.0), np.float64(2.0))  # a variance of 4
    errors = patch_errors(maps, gaussian, (0.0, 3.0), 2, HALVES, HALVES)
    assert errors.tolist() == [[[0.0, 0.0625 / 4], [0.0, 0.5 / 4]]]
    assert harmed_patches(errors, 0.1).tolist() == [[[False, False], [False, True]]]
    assert harmed_patches(errors, 0.0).tolist() == [[[False, True], [False, True]]]
    # More bits harm less; a patch that reads nothing is not harmed.
    assert (patch_errors(maps, gaussian, (0.0, 3.0), 4, HALVES, HALVES) <= errors).all()
    assert patch_errors(maps, gaussian, (0.0, 3.0), 2, [Interval(1, 1)], HALVES).tolist() == [[[0.0, 0.0]]]
    # A map that does not vary: no error is none, any is infinite.
    flat = Gaussian(np.array([1.0]), np.array([0.0]))
    assert patch_errors(maps, flat, (0.0, 3.0), 2, HALVES, HALVES).tolist() == [[[0.0, np.inf], [0.0, np.inf]]]


@pytest.mark.parametrize(
    "value_range, bits", [((1.0, 2.0), 4), ((-2.0, -1.0), 4), ((0.0, np.inf), 4), ((0.0, np.nan), 2), ((0.0, 1.0), 3)]
)
def test_ranges_that_cannot_be(value_range, bits):
    with pytest.raises(QmkitError) as caught:
        patch_errors(one_spike(), UNIT, value_range, bits, HALVES, HALVES)
    assert caught.value.code == "bad-range"


@pytest.mark.parametrize("threshold", [-1.0, float("nan")])
def test_thresholds_that_cannot_be(threshold):
    with pytest.raises(QmkitError):
        harmed_patches(np.zeros((1, 2, 2)), threshold)


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
