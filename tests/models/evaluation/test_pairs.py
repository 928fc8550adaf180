"""Two clips or two folders: who is compared with whom, and what is refused."""

import numpy as np
import pytest

from models.data.video import write_lossless
from models.evaluation.inputs import MetricInputError
from models.evaluation.pairs import find_pairs, read_pairs


def clip(frames: int = 3, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, size, size, 3), np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Three reference clips, one of them longer and below a folder; generated clips of two, in another container."""
    for side, suffix in (("true", "mkv"), ("made", "avi")):
        (tmp_path / side / "deep").mkdir(parents=True)
        write_lossless(tmp_path / side / f"b.{suffix}", clip(seed=1))
        write_lossless(tmp_path / side / "deep" / f"a.{suffix}", clip(5, seed=2))
    write_lossless(tmp_path / "true" / "c.mkv", clip(seed=3))
    (tmp_path / "made" / "notes.txt").write_text("not a clip")
    return tmp_path / "true", tmp_path / "made"


def test_clips_of_folders_pair_by_name_and_the_rest_is_named(folders):
    pairs, left_out = find_pairs(*folders)
    assert [pair.name for pair in pairs] == ["b", "deep/a"]
    assert left_out == ["c"]


def test_pairs_of_one_size_stand_together(folders):
    groups = read_pairs(find_pairs(*folders)[0])
    assert [(group.names, group.reference.shape) for group in groups] == [
        (["b"], (1, 3, 16, 16, 3)),
        (["deep/a"], (1, 5, 16, 16, 3)),
    ]
    assert np.array_equal(groups[1].generated[0], clip(5, seed=2))


def test_two_files_are_a_pair_whatever_their_names(folders):
    true, made = folders
    pairs, left_out = find_pairs(true / "b.mkv", made / "b.avi")
    assert (len(pairs), left_out) == (1, [])


def test_a_generated_clip_without_reference_is_refused(folders):
    true, made = folders
    write_lossless(made / "z.mkv", clip())
    with pytest.raises(MetricInputError, match="z without a clip of that name"):
        find_pairs(true, made)


def test_a_name_that_stands_twice_is_refused(folders):
    true, made = folders
    write_lossless(made / "b.mkv", clip())
    with pytest.raises(MetricInputError, match="b more than once"):
        find_pairs(true, made)


def test_what_is_no_pair_is_refused(folders, tmp_path):
    true, made = folders
    with pytest.raises(MetricInputError, match="one is a folder, one a file"):
        find_pairs(true, made / "b.avi")
    with pytest.raises(MetricInputError, match="not there"):
        find_pairs(true, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MetricInputError, match="no clip in it"):
        find_pairs(true, tmp_path / "empty")


def test_other_lengths_and_damaged_files_are_refused_by_name(folders):
    true, made = folders
    write_lossless(made / "b.avi", clip(2))
    with pytest.raises(MetricInputError, match="b: the reference is 3 frames of 16x16, the generated 2 frames"):
        read_pairs(find_pairs(true, made)[0])
    (made / "b.avi").write_bytes(b"no video")
    with pytest.raises(MetricInputError, match=r"b\.avi: unreadable"):
        read_pairs(find_pairs(true, made)[0])
