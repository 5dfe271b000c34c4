from __future__ import annotations

import numpy as np
import pytest

from bench import DataError
from bench.conformance.samples import SIGNED, digits, few_digits
from tests.narrowing import present
from tests.whole_pool import whole_pool


def test_the_pool_is_real_and_sorted_by_class() -> None:
    sample = digits()
    labels = sample.source.labels()
    assert sample.size == len(labels) == 300
    assert (np.diff(labels) >= 0).all()
    assert np.bincount(labels).min() >= 28
    for dynamics in map(present, (sample.source.dynamics_labels, sample.source.dynamics_pseudo)):
        assert dynamics.epochs == 8
        # The proxy learned something and not everything, so that scores differ and some are negative.
        assert 0.5 < dynamics.correctness.mean() < 0.99
        assert dynamics.aum.min() < 0 < dynamics.aum.max()
        assert len(np.unique(dynamics.aum)) > 290
    assert digits() is sample


def test_no_array_behind_a_view_can_be_written() -> None:
    for sample in (digits(), few_digits()):
        for _, array in sample.arrays():
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_other_labels_are_others_outside_the_kept_images_alone() -> None:
    sample, kept = digits(), np.arange(0, 300, 7)
    changed = sample.other_labels(kept)
    same = changed.source.labels() == sample.source.labels()
    assert np.flatnonzero(same).tolist() == kept.tolist()
    assert (present(changed.source.gradient_norm_array) != present(sample.source.gradient_norm_array)).any()
    assert (present(changed.source.dynamics_labels).aum != present(sample.source.dynamics_labels).aum).any()
    assert (changed.source.embeddings() == sample.source.embeddings()).all()


def test_changes_leave_the_original_and_do_what_they_say() -> None:
    sample = digits()
    before = {name: array.copy() for name, array in sample.arrays()}
    assert few_digits().size == 38
    assert len(set(present(sample.constant().source.dynamics_labels).aum.tolist())) == 1
    assert (sample.constant().source.labels() == sample.source.labels()).all()
    below, above = (dict(sample.one_sided(sign).arrays()) for sign in (-1, 1))
    assert all(below[name].max() < 0 < above[name].min() for name in (*SIGNED, "embedding_array"))
    assert (below["dynamics_labels.el2n"] == before["dynamics_labels.el2n"]).all()
    spoilt = dict(sample.spoilt("dynamics_labels.aum", np.nan).arrays())
    assert np.flatnonzero(np.isnan(spoilt["dynamics_labels.aum"])).tolist() == [150]
    moved = dict(sample.shuffled("dynamics_labels.aum", "label_array").arrays())
    changed = [name for name, array in moved.items() if not np.array_equal(array, before[name])]
    assert changed == ["label_array", "dynamics_labels.aum"]
    whole = dict(sample.shuffled("dynamics_labels").arrays())
    assert not np.array_equal(whole["dynamics_labels.aum_logits"], before["dynamics_labels.aum_logits"])
    assert set(present(sample.in_class(3).source.pseudo_label_array).tolist()) == {3}
    for name, array in sample.arrays():
        np.testing.assert_array_equal(array, before[name])


def test_labels_cannot_be_read_where_they_are_taken_away() -> None:
    blind = digits().without_labels()
    assert blind.size == 300
    pool = whole_pool(blind.source, 300)
    for read in (blind.source.labels, pool.dynamics, pool.gradient_norms):
        with pytest.raises(DataError):
            read()
    assert len(pool.dynamics("pseudo")) == 300


def test_rehearsal_says_more_of_more_images() -> None:
    source = whole_pool(digits().source, 300)
    everything = source.rehearse(np.arange(300))
    assert 0.7 < everything <= 1
    assert source.rehearse(np.arange(30)) < everything
    assert source.rehearse(np.array([0, 10])) == 0  # held out, so nothing is left to predict from
