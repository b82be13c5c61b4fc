"""Confidence intervals, against values worked out by hand and against their promise on random data."""

from __future__ import annotations

import numpy as np
import pytest

from quantmcu_kit.numerics.intervals import paired_loss, share


def test_share_by_hand():
    """8 of 10 hits: Wilson's interval is 49.02 to 94.33 % (Wilson 1927; the figures of Newcombe 1998's formula)."""
    estimate = share(np.array([True] * 8 + [False] * 2))
    assert estimate.value == 80.0
    assert estimate.low == pytest.approx(49.02, abs=0.005)
    assert estimate.high == pytest.approx(94.33, abs=0.005)


def test_all_or_no_hits_stay_within_bounds():
    assert share(np.ones(20, bool)).high == 100.0
    assert share(np.zeros(20, bool)).low == 0.0
    assert share(np.zeros(20, bool)).high == pytest.approx(16.11, abs=0.005)  # 1.96² / (20 + 1.96²)


def test_paired_loss_by_hand():
    """Of 100 pictures 6 became wrong and 2 right: 4 points, standard error sqrt(0.08 - 0.04²) / 10 = 2.8 points."""
    before = np.array([True] * 6 + [False] * 2 + [True] * 92)
    after = np.array([False] * 6 + [True] * 2 + [True] * 92)
    loss = paired_loss(before, after)
    assert loss.value == pytest.approx(4.0)
    assert (loss.low, loss.high) == pytest.approx((4 - 1.96 * 2.8, 4 + 1.96 * 2.8), abs=0.001)


def test_paired_loss_of_equal_answers_is_not_certain():
    hits = np.array([True] * 50 + [False] * 50)
    loss = paired_loss(hits, hits)
    assert (loss.value, loss.low, loss.high) == (0.0, -3.0, 3.0)


def test_intervals_hold_what_they_promise():
    """Of 400 experiments with known shares about 95 % must cover the truth: 380 ± 3 standard deviations of 4.4."""
    random = np.random.default_rng(5)
    covered_shares = covered_losses = 0
    for _ in range(400):
        before = random.random(300) < 0.7
        after = np.where(random.random(300) < 0.2, random.random(300) < 0.5, before)  # loses 0.2 · (0.7 - 0.5) = 4 %
        covered_shares += share(before).low <= 70 <= share(before).high
        loss = paired_loss(before, after)
        covered_losses += loss.low <= 4 <= loss.high
    assert 366 <= covered_shares <= 394
    assert 366 <= covered_losses <= 394
