"""A file made to do harm is set aside with its reason, in bounded memory and time, and the next film is decoded."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from models.data.decoding import Decoder, DecoderError
from models.data.shards import build_shards
from models.data.video import ClipError, Limits, centre_square, decode, write_lossless

from . import bombs
from .clips import make_row, rectangles, write_manifest

MIB = 2**20
SMALL = Limits(max_memory=1024 * MIB)
TABLE = 40_000_000


@pytest.fixture
def decoder():
    with Decoder(SMALL) as made:
        yield made


@pytest.fixture
def good(tmp_path):
    write_lossless(tmp_path / "good.mkv", rectangles(0)[0])
    return tmp_path / "good.mkv"


def peak(pid: int) -> int:
    """Most bytes that a living process ever held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def test_it_gives_what_decode_gives(decoder, good):
    given, apart = decode(good, each=lambda frame: centre_square(frame, 16)), decoder.film(good, 16)
    assert np.array_equal(given.frames, apart.frames)
    assert apart.frames.flags.writeable
    assert (apart.fps, apart.height, apart.width) == (given.fps, given.height, given.width)


@pytest.mark.parametrize("make", [bombs.huge_frame, bombs.lying])
def test_a_frame_of_256_million_pixels_is_refused_before_its_pixels_are_made(decoder, good, tmp_path, make):
    path = make(tmp_path / "bomb.mkv")
    assert path.stat().st_size < MIB
    decoder.film(good, 16)
    before = peak(decoder.pid)
    with pytest.raises(ClipError, match="too large: 16000x16000 pixels a frame"):
        decoder.film(path, 16)
    assert peak(decoder.pid) - before < 200 * MIB  # one such frame is 384 MB
    decoder.film(good, 16)


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_hundred_thousand_frames_are_not_decoded(tmp_path, suffix):
    path, seen = bombs.endless(tmp_path / f"bomb.{suffix}"), 0

    def each(frame):
        nonlocal seen
        seen += 1
        return frame

    with pytest.raises(ClipError, match="too large: more than 3000 frames"):
        decode(path, each=each)
    assert seen <= 3000


def test_a_table_that_unfolds_into_gigabytes_meets_the_bound_on_memory(decoder, good, tmp_path):
    path = bombs.unfolding_table(tmp_path / "bomb.mp4", TABLE)
    assert path.stat().st_size < 2000
    with pytest.raises(ClipError, match="too large"):
        decoder.film(path, 16)
    decoder.film(good, 16)
    assert peak(decoder.pid) < SMALL.max_memory  # unbounded it takes 2.8 GB


def test_a_film_that_needs_more_memory_than_it_may_have_says_so(good, tmp_path):
    path = bombs.huge_frame(tmp_path / "a.mkv")
    with Decoder(Limits(max_memory=1024 * MIB, max_pixels_per_frame=2**30)) as decoder:
        with pytest.raises(ClipError, match="too large: decoding it takes more than 1073741824 bytes of memory"):
            decoder.film(path, 16)
        decoder.film(good, 16)


def test_more_than_its_processor_time_is_refused(tmp_path, good):
    path = bombs.noise(tmp_path / "slow.mkv", side=512, frames=120)
    with Decoder(Limits(max_cpu_s=0.2)) as decoder:
        with pytest.raises(ClipError, match=r"too costly: more than 0\.2 s of processor time"):
            decoder.film(path, 16)
        decoder.film(good, 16)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_pixels=64 * 64 * 19), "too large: more than 77824 pixels in all its frames"),
        (Limits(max_held_bytes=64 * 64 * 3 * 18), "too large: its frames take more than 221184 bytes"),
    ],
)
def test_what_all_frames_take_is_limited(tmp_path, limits, reason):
    path = bombs.film(tmp_path / "a.mkv", "mpeg4", side=64, frames=20)
    with pytest.raises(ClipError, match=reason):
        decode(path, limits)


def test_a_file_of_many_streams_is_not_opened(tmp_path):
    assert len(decode(bombs.many_streams(tmp_path / "few.mkv", 3)).frames) == 10
    with pytest.raises(ClipError, match="too large: more than 16 streams"):
        decode(bombs.many_streams(tmp_path / "many.mkv", 40))


@pytest.mark.parametrize(
    ("number", "error", "reason"),
    [
        (signal.SIGSEGV, ClipError, "damaged: it crashed the decoder"),
        (signal.SIGXCPU, ClipError, "too costly"),
        (signal.SIGKILL, DecoderError, "ended by signal SIGKILL; run again"),
    ],
)
def test_a_decoder_that_is_gone_is_told_from_a_film_that_ended_it(decoder, good, number, error, reason):
    decoder.film(good, 16)
    os.kill(decoder.pid, number)
    with pytest.raises(error, match=reason):
        decoder.film(good, 16)
    decoder.film(good, 16)


def test_a_decoder_that_hangs_is_given_up(good):
    with Decoder(Limits(max_cpu_s=0.25)) as decoder:
        decoder.film(good, 16)
        stuck = decoder.pid
        os.kill(stuck, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(ClipError, match=r"too costly: not decoded in 1 s by the clock"):
            decoder.film(good, 16)
        assert time.monotonic() - began < 10
        assert not psutil.pid_exists(stuck)
        decoder.film(good, 16)
        last = decoder.pid
    assert not psutil.pid_exists(last)


def test_the_decoder_knows_no_secret_and_can_write_nothing(decoder, good, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    decoder.film(good, 16)
    assert b"planted" not in Path(f"/proc/{decoder.pid}/environ").read_bytes()
    assert psutil.Process(decoder.pid).rlimit(psutil.RLIMIT_FSIZE) == (0, 0)


def test_bombs_are_set_aside_and_the_rest_is_ingested(tmp_path):
    folder = tmp_path / "raw"
    rows = [make_row(folder, f"c{number}", seed=number) for number in range(2)]
    for name, make in {
        "huge.mkv": bombs.huge_frame,
        "endless.mkv": bombs.endless,
        "table.mp4": lambda path: bombs.unfolding_table(path, TABLE),
    }.items():
        make(folder / "clips" / name)
        rows.insert(1, {"id": name, "path": f"clips/{name}", "split": "train"})
    report = build_shards(write_manifest(folder, rows), tmp_path / "out", size=16, limits=SMALL)
    assert (report.clips, report.quarantined) == (2, 3)
    aside = {row["clip_id"]: row["reason"] for row in pq.read_table(tmp_path / "out/quarantine.parquet").to_pylist()}
    assert set(aside) == {"huge.mkv", "endless.mkv", "table.mp4"}
    assert all(reason.startswith("too large") and "\n" not in reason for reason in aside.values())
