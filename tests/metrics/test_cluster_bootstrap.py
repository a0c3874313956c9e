"""Where people repeat: whole identities are drawn, and one row an identity changes nothing."""

import numpy as np
import pytest

from edgefair.errors import DataError
from edgefair.metrics.cluster_bootstrap import design_effect, identity_counts
from edgefair.metrics.gap_drift import gap_drift_bound, worsening_bound
from edgefair.metrics.paired import paired_counts


def rows_of(people: int, images: int, flip_share: float, together: float, rng) -> dict:
    """2 groups, 3 classes; a person keeps to one cell and flips as one with probability `together`."""
    person = np.repeat(np.arange(people), images)
    labels, groups = person % 3, person // 3 % 2
    pred_ref = np.where(rng.random(len(person)) < 0.2, (labels + 1) % 3, labels)
    as_one = np.repeat(rng.random(people) < together, images)
    hit = np.where(as_one, np.repeat(rng.random(people), images), rng.random(len(person))) < flip_share
    pred_cand = np.where(hit, np.where(pred_ref == labels, (labels + 1) % 3, labels), pred_ref)
    return {"labels": labels, "groups": groups, "pred_ref": pred_ref, "pred_cand": pred_cand, "identities": person}


def both_bounds(rows: dict, seed: int = 0, replicates: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    """(mean and max drift bound, worsening bound) of rows alone, and with identities."""
    counts = paired_counts(*(rows[name] for name in ("labels", "groups", "pred_ref", "pred_cand")), 3, 2)
    identity = identity_counts(**rows, num_classes=3, num_groups=2)
    return tuple(
        np.array(
            [
                *gap_drift_bound(counts, replicates, np.random.default_rng(seed), identity=who),
                worsening_bound(counts, replicates, np.random.default_rng(seed), identity=who),
            ]
        )
        for who in (None, identity)
    )


def test_one_row_an_identity_gives_the_bounds_of_rows():
    alone, by_identity = both_bounds(rows_of(2400, 1, 0.05, 0, np.random.default_rng(0)))
    np.testing.assert_allclose(by_identity, alone, rtol=0.04)


def test_unknown_identities_are_people_of_their_own():
    rows = rows_of(2400, 1, 0.05, 0, np.random.default_rng(0))
    unknown = rows | {"identities": np.full(2400, "")}
    np.testing.assert_array_equal(both_bounds(unknown)[1], both_bounds(rows)[1])


def test_counts_by_identity_add_up_and_alike_people_are_one_type():
    rows = rows_of(60, 5, 0.1, 0.5, np.random.default_rng(1))
    rows["groups"][:7] = -1
    counts = paired_counts(*(rows[name] for name in ("labels", "groups", "pred_ref", "pred_cand")), 3, 2)
    identity = identity_counts(**rows, num_classes=3, num_groups=2)
    total = np.zeros((6, 4), dtype=np.int64)
    np.add.at(total, identity.cell, identity.counts * identity.multiplicity[identity.type_of][:, None])
    np.testing.assert_array_equal(total.reshape(2, 3, 4), counts)
    assert identity.multiplicity.sum() == 59  # the person all of whose rows are of unknown group is left out
    assert len(identity.multiplicity) < 59


def test_people_in_several_classes_are_drawn_whole():
    """Each person has rows of both classes and is lost in both or none: the drift of both classes moves together."""
    person = np.repeat(np.arange(400), 2)
    labels, groups = np.tile([0, 1], 400), person % 2
    lost = np.repeat(np.random.default_rng(0).random(400) < 0.1, 2)
    rows = {"labels": labels, "groups": groups, "pred_ref": labels, "pred_cand": np.where(lost, 1 - labels, labels)}
    identity = identity_counts(**rows, identities=person, num_classes=2, num_groups=2)
    first, second = (cell[:, 1] / cell.sum(axis=1) for cell in identity.draw(4000, np.random.default_rng(1)))
    assert np.corrcoef(first[0], second[0])[0, 1] > 0.9
    assert abs(np.corrcoef(first[0], second[1])[0, 1]) < 0.1


def test_images_that_flip_together_widen_every_bound():
    together, apart = (
        both_bounds(rows_of(600, 10, 0.05, share, np.random.default_rng(2)), replicates=2000) for share in (1.0, 0.0)
    )
    assert (together[1] > together[0] * [1.4, 1.4, 1.1]).all()
    assert (apart[1] < together[1]).all()
    assert (apart[1] < 1.6 * apart[0]).all()  # what nobody has shown yet is charged for


@pytest.mark.parametrize("together", [1.0, 0.5])
@pytest.mark.slow
def test_identity_bound_seldom_passes_at_the_boundary_where_rows_pass_often(together):
    """Group 0 loses `flip_share` of its recall in every class; a bound below it is a false pass, nominally in 5 %."""
    rng, passes = np.random.default_rng(3), []
    for _ in range(200):
        rows = rows_of(300, 8, 0.05, together, rng)
        wrong = (rows["labels"] + 1) % 3
        hit = (rows["pred_ref"] != rows["pred_cand"]) & (rows["groups"] == 0)
        rows["pred_ref"], rows["pred_cand"] = rows["labels"], np.where(hit, wrong, rows["labels"])
        counts = paired_counts(*(rows[name] for name in ("labels", "groups", "pred_ref", "pred_cand")), 3, 2)
        identity = identity_counts(**rows, num_classes=3, num_groups=2)
        passes.append([gap_drift_bound(counts, 300, rng, identity=who)[0] <= 0.05 for who in (None, identity)])
    by_rows, by_identity = np.mean(passes, axis=0)
    assert by_rows > 0.1
    assert by_identity <= 0.09  # two standard errors of 200 runs are 3 points


def test_design_effect_is_one_for_single_rows_and_the_size_of_people_who_act_as_one():
    rng = np.random.default_rng(0)
    values = (rng.random(3000) < 0.1).astype(int)
    assert design_effect(values, np.arange(3000)) == pytest.approx(1, abs=0.01)
    assert design_effect(np.repeat(values, 6), np.repeat(np.arange(3000), 6)) == pytest.approx(6, rel=0.02)
    assert design_effect(np.zeros(60), np.repeat(np.arange(10), 6)) == 6  # nobody changed: nothing shows independence
    with pytest.raises(DataError, match=r"identities have shape \(2,\)"):
        design_effect(values, np.arange(2))
