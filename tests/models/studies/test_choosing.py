"""What is chosen among candidates, and how often it is right."""

import numpy as np

from models.studies.choosing import by_record, chosen, most_confident, right_of, within

SCORES = np.array([[3.0, 1.0, 2.0], [0.5, 0.5, 0.9], [1.0, 2.0, 3.0]])
RIGHT = np.array([[False, True, False], [False, True, True], [True, True, True]])


def test_the_nearest_is_chosen_and_the_first_of_equals():
    assert chosen(SCORES).tolist() == [1, 0, 0]
    assert right_of(RIGHT, chosen(SCORES)).tolist() == [1.0, 0.0, 1.0]


def test_ranking_counts_pairs_within_a_clip_and_clips_of_one_kind_do_not_count():
    found = within(SCORES, RIGHT)
    assert found[:2].tolist() == [1.0, 0.25]
    assert np.isnan(found[2])


def test_a_record_is_of_the_other_clips():
    right = np.array([[True, False], [True, False], [False, True]])
    assert by_record(right).tolist() == [0, 0, 0]
    assert by_record(np.array([[True, False], [False, True]])).tolist() == [1, 0]  # its own mark would have chosen it


def test_the_nearest_share_is_kept():
    assert most_confident(np.array([0.4, 0.1, 0.3, 0.2]), 0.5).tolist() == [False, True, False, True]
    assert most_confident(np.array([0.4, 0.1]), 0.1).sum() == 1
