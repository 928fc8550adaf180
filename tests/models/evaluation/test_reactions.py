"""The table of reactions: a metric that sees counts +1, a blind one 0, a deceived one -1."""

import numpy as np
import pytest

from models.data.moving_shapes import render_clip
from models.evaluation.evaluate import Reference
from models.evaluation.reactions import UNTOUCHED, reactions


@pytest.fixture(scope="module")
def table(lpips_alex):
    clips = [render_clip(seed) for seed in range(3)]
    reference = Reference(
        np.stack([clip.frames for clip in clips]), lpips_alex, masks=np.stack([clip.masks for clip in clips])
    )
    return reactions(reference)


def test_untouched_clips_have_every_best_value_and_no_balance(table):
    assert table[UNTOUCHED]["lpips"].metric.value == pytest.approx(0, abs=1e-6)
    assert table[UNTOUCHED]["edge_f1"].metric.value == 1
    assert {reaction.balance for reaction in table[UNTOUCHED].values()} == {0}


def test_each_metric_sees_what_it_is_for(table):
    assert all(table[name]["lpips"].balance == 1 for name in ("blur", "noise", "shift", "removed", "another"))
    assert table["shift"]["edge_f1"].balance == 1
    assert table["recolour"]["edge_f1"].metric.value > table["another"]["edge_f1"].metric.value


def test_a_frozen_clip_deceives_the_temporal_variance_and_not_the_dynamic_degree(table):
    assert table["frozen"]["temporal_lpips_variance"].balance == -1
    assert table["frozen"]["dynamic_degree"].balance == 1
    assert table["reverse"]["dynamic_degree"].balance == 0


def test_without_masks_no_object_is_removed(lpips_alex):
    own = reactions(Reference(np.stack([render_clip(seed).frames for seed in range(2)]), lpips_alex))
    assert "removed" not in own
