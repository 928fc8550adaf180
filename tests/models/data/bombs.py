"""Small files that unfold into much: real ones, written by ffmpeg, and one whose tables are edited."""

from pathlib import Path

import av
import numpy as np


def film(path: Path, codec: str, *, side: int, frames: int, rate: int = 10, options: dict[str, str] | None = None):
    """A black film; frames of one colour take next to no bytes."""
    with av.open(path, "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        frame = av.VideoFrame(side, side, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(frames):
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def huge_frame(path: Path) -> Path:
    """One frame of 16,000 x 16,000 pixels, 400 MB decoded, in under 1 MB."""
    return film(path, "libx264", side=16000, frames=1, options={"preset": "ultrafast", "threads": "1"})


def lying(path: Path) -> Path:
    """Matroska that says 64 x 64 of a stream whose own header says 16,000 x 16,000."""
    content = huge_frame(path).read_bytes()
    width, height = bytes.fromhex("b0823e80"), bytes.fromhex("ba823e80")
    assert content.count(width) == content.count(height) == 1
    path.write_bytes(content.replace(width, bytes.fromhex("b0820040")).replace(height, bytes.fromhex("ba820040")))
    return path


def endless(path: Path) -> Path:
    """100,000 frames in 10 s, in under 2 MB."""
    return film(path, "libx264", side=16, frames=100_000, rate=10_000, options={"preset": "ultrafast", "threads": "1"})


def unfolding_table(path: Path, samples: int) -> Path:
    """An MP4 of about 1 kB whose sample table says `samples`; ffmpeg takes about 70 bytes for each as it opens it."""
    content = bytearray(film(path, "mpeg4", side=64, frames=10).read_bytes())
    count = samples.to_bytes(4, "big")
    for box, at, value in (
        (b"stsz", 4, (1).to_bytes(4, "big")),
        (b"stsz", 8, count),
        (b"stsc", 12, count),
        (b"stts", 8, count),
    ):
        place = content.index(box) + 4 + at
        content[place : place + 4] = value
    path.write_bytes(content)
    return path


def noise(path: Path, *, side: int, frames: int) -> Path:
    """A film that is work to decode."""
    rng = np.random.default_rng(0)
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"preset": "ultrafast", "qp": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for _ in range(frames):
            pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return path


def many_streams(path: Path, streams: int) -> Path:
    """A film with so many videos in it."""
    with av.open(path, "w") as file:
        made = [file.add_stream("mpeg4", rate=10) for _ in range(streams)]
        for stream in made:
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame(32, 32, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for number in range(10):
            frame.pts = number
            for stream in made:
                file.mux(stream.encode(frame))
        for stream in made:
            file.mux(stream.encode())
    return path
