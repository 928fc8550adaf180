"""Boxes of a film: read or refused with the reason, and brought to the frames that are kept."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.boxes import MAX_BYTES, in_centre_square, read_boxes
from models.data.shards import ClipShards, ShardError, build_shards
from models.data.video import ClipError

from .clips import make_row, write_manifest

side = st.floats(0, 100)


@given(st.lists(st.tuples(side, side, side, side), max_size=5), st.integers(20, 90), st.integers(20, 90))
def test_boxes_stay_inside_the_square_and_keep_their_order(corners, height, width):
    boxes = [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in corners]
    for x1, y1, x2, y2 in in_centre_square(boxes, height, width, 32):
        assert 0 <= x1 < x2 <= 32
        assert 0 <= y1 < y2 <= 32


def test_a_file_of_boxes_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "boxes.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ClipError, match=f"boxes too large: {MAX_BYTES + 1} bytes"):
        read_boxes(tmp_path / "boxes.json", 1)


def test_a_box_moves_with_the_centre_square():
    assert in_centre_square([(30, 10, 50, 20)], 40, 80, 20) == [(5, 5, 15, 10)]
    # Cut where it juts out by less than half, left out where by more.
    assert in_centre_square([(15, 0, 40, 40), (0, 0, 35, 40)], 40, 80, 20) == [(0, 0, 10, 20)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "boxes unreadable"),
        ("[[]]", "boxes are of 1 frames; the film has 2 frames"),
        ('{"0": []}', "boxes are of dict"),
        ("[[], 3]", "boxes of frame 1 are no list"),
        ("[[[0, 0, 1]], []]", r"boxes of frame 0: \[0, 0, 1\] is no \[x1, y1, x2, y2\]"),
        ('[[[0, 0, 1, "2"]], []]', "boxes of frame 0"),
        ("[[[0, 0, 1, NaN]], []]", "boxes of frame 0"),
        ("[[[4, 0, 1, 2]], []]", r"is empty; x2 > x1"),
    ],
)
def test_a_file_that_is_no_boxes_of_this_film_is_refused_with_the_reason(tmp_path, content, said):
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(ClipError, match=said):
        read_boxes(path, 2)


@pytest.fixture
def boxed(tmp_path):
    """Two films of 20 frames of 16x32, the first with a box that goes right by a pixel a frame."""
    folder = tmp_path / "raw"
    rows = [make_row(folder, name, seed=k, frames=20, height=16, width=32) for k, name in enumerate("ab")]
    (folder / "a.json").write_text(json.dumps([[[6 + t, 4, 10 + t, 12]] for t in range(20)]))
    return write_manifest(folder, [rows[0] | {"boxes": "a.json"}, rows[1]]), folder, rows


def test_shards_hold_each_stored_frames_boxes_in_its_own_pixels(boxed, tmp_path):
    build_shards(boxed[0], tmp_path / "out", size=32, frames=5, stride=2)
    shards = ClipShards(tmp_path / "out")
    first = int(shards.index.set_index("clip_id").loc["a", "first_frame"])
    (found, none) = shards.boxes(["a", "b"])
    np.testing.assert_array_equal(found, [[[x - 4, 8, x + 4, 24]] for x in range(2 * first, 2 * first + 20, 4)])
    assert [at.shape for at in none] == 5 * [(0, 4)]
    assert (shards.outlined(["a", "b"]), shards.outlined(["b"])) == ("boxes", "nothing")


def test_boxes_that_change_after_ingest_and_boxes_of_no_use_are_told(boxed, tmp_path):
    data, folder, rows = boxed
    build_shards(data, tmp_path / "out", size=16, frames=5)
    (folder / "a.json").write_text(json.dumps([[] for _ in range(20)]))
    with pytest.raises(ShardError, match="its boxes_sha256 changed since it was ingested"):
        build_shards(data, tmp_path / "out", size=16, frames=5)
    (folder / "a.json").write_text("[]")
    assert build_shards(data, tmp_path / "anew", size=16, frames=5).quarantined == 1
    (aside,) = pq.read_table(tmp_path / "anew" / "quarantine.parquet").to_pylist()
    assert "boxes are of 0 frames" in aside["reason"]
    outside = write_manifest(folder, [rows[0] | {"boxes": "../a.json"}, rows[1]])
    assert build_shards(outside, tmp_path / "outside", size=16, frames=5).quarantined == 1


def test_an_index_of_before_there_were_boxes_is_added_to(boxed, tmp_path):
    data, folder, rows = boxed
    write_manifest(folder, rows[1:])
    build_shards(data, tmp_path / "out", size=16, frames=5)
    path = tmp_path / "out" / "index.parquet"
    table = pq.read_table(path)
    old = table.drop_columns(["boxes", "boxes_sha256"])
    pq.write_table(old, path)
    assert ClipShards(tmp_path / "out").outlined(["b"]) == "nothing"
    write_manifest(folder, [rows[0] | {"boxes": "a.json"}, rows[1]])
    assert build_shards(data, tmp_path / "out", size=16, frames=5).added == 1
