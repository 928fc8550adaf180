"""Video files: decoding with limits, and writing without loss (design §12: decode once, check, set aside or keep).

`decode` trusts nothing: only regular files of known containers are opened (a playlist could name other files), sizes
are checked before pixels are made, and a file that ends early is refused, not shortened. One thread and ffmpeg's
bit-exact conversions, so that every machine reads the same frames. What ffmpeg does before it gives control back, these
checks cannot stop: strangers' files are decoded in a process of their own (`decoding.py`).

A Theora file or a raw stream does not say how long it should be; its missing end cannot be seen.
"""

import io
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from PIL import Image

SUFFIXES = frozenset({".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm"})
_CONTAINERS = "matroska,webm,mov,mp4,avi,gif,ogg,mpegts,mpeg"
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
_STREAMS = 16
"""At most, in a file: ffmpeg sets up a decoder for each."""
_PROBED_PIXELS = 8192 * 8192
"""ffmpeg decodes a frame as it opens a file, to learn what it is; no larger one."""
_SLACK = 0.02
"""Share of promised packets that a healthy file may lack: encoders write an empty packet for a dropped frame."""


class ClipError(ValueError):
    """A clip that cannot be used; the message is the reason in one line."""


@dataclass(frozen=True)
class Limits:
    """What a clip may cost. A clip outside them is refused before its pixels are decoded where the file says so.

    All but the last two depend on the file alone, so that every machine sets the same clips aside; those two are the
    net below them.
    """

    max_bytes: int = 512 * 2**20
    max_pixels_per_frame: int = 4096 * 2304
    max_frames: int = 3000
    max_pixels: int = 3000 * 1920 * 1088
    """Of all frames together, as they are decoded: 3000 of full HD."""
    max_held_bytes: int = 4 * 2**30
    """Of the frames that are kept, as `each` leaves them; they are there twice for a moment."""
    max_seconds: float = 120.0
    min_frames: int = 9
    max_cpu_s: float = 300.0
    """Processor time of the decoding."""
    max_memory: int = 4 * 2**30
    """Address space in bytes of a process that decodes; one that decodes for itself is not held to it."""


@dataclass(frozen=True)
class Video:
    """A decoded clip."""

    frames: np.ndarray
    """uint8 [T, H, W, 3], RGB; H and W are those of `each`'s output when decoded with one."""
    fps: float
    height: int
    width: int
    """Size in the file, upright."""


def decode(path: Path, limits: Limits | None = None, each: Callable[[np.ndarray], np.ndarray] | None = None) -> Video:
    """Decode a whole video file.

    Args:
        path: a regular file in a container of `SUFFIXES`.
        limits: what is refused; the defaults when absent.
        each: applied to every frame, uint8 [H, W, 3], as it comes, so that a large clip need not be held whole.

    Raises:
        ClipError: unreadable, truncated or damaged, too short, too large, or no regular file.
    """
    limits = limits or Limits()
    _check_file(path, limits)
    try:
        # "file:" keeps a name like "concat:a|b" from being read as a protocol.
        options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file", "max_streams": str(_STREAMS + 1)}
        options |= {"max_pixels": str(_PROBED_PIXELS), "threads": "1"}
        container = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise ClipError(f"unreadable: {error.strerror or error}") from error
    with container:
        return _decode(container, limits, each or (lambda frame: frame))


def _check_file(path: Path, limits: Limits) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise ClipError(f"not a file: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ClipError("not a file: a folder, pipe or device")
    if status.st_size == 0:
        raise ClipError("unreadable: the file is empty")
    if status.st_size > limits.max_bytes:
        raise ClipError(f"too large: {status.st_size} bytes, at most {limits.max_bytes}")
    with path.open("rb") as file:
        if file.read(4) == b"GIF8":
            file.seek(-min(64, status.st_size), os.SEEK_END)
            if not file.read().rstrip(b"\0").endswith(b"\x3b"):
                raise ClipError("truncated: the GIF has no end mark")


def _decode(container: InputContainer, limits: Limits, each: Callable[[np.ndarray], np.ndarray]) -> Video:
    if len(container.streams) > _STREAMS:
        raise ClipError(f"too large: more than {_STREAMS} streams")
    if not container.streams.video:
        raise ClipError("unreadable: no video in the file")
    stream = container.streams.video[0]
    codec, rate = stream.codec_context, stream.average_rate or stream.guessed_rate
    if codec is None or not rate:
        raise ClipError("unreadable: no decoder for it, or no frame rate")
    seconds = _promised_seconds(container, stream)
    _check_size(stream.width, stream.height, limits)
    _check_length(stream.frames, max(seconds or 0.0, stream.frames / float(rate)), limits)
    codec.thread_count = 1
    codec.options = {"max_pixels": str(limits.max_pixels_per_frame), "flags": "bitexact"}

    reader, frames, packets, end = VideoReformatter(), [], 0, 0.0
    pixels_made, held, began = 0, 0, time.thread_time()
    size: tuple[int, int] | None = None
    try:
        for packet in container.demux(stream):
            _check_time(time.thread_time() - began, limits)
            if packet.pts is not None and packet.size:
                packets += 1
                duration = float(packet.duration * packet.time_base) if packet.duration else 1 / float(rate)
                end = max(end, float(packet.pts * packet.time_base) + duration)
            if packet.is_corrupt:
                raise ClipError(f"truncated: packet {packets} is cut off")
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise ClipError(f"damaged: decoder error at frame {len(frames)}")
                _check_length(len(frames) + 1, len(frames) / float(rate), limits)
                pixels_made += frame.width * frame.height
                _check_whole(pixels_made, held, limits)
                pixels = _rgb(frame, reader, limits)
                if size not in (None, pixels.shape[:2]):
                    raise ClipError(f"damaged: the frame size changes at frame {len(frames)}")
                size = pixels.shape[:2]
                frames.append(each(pixels))
                held += frames[-1].nbytes
    except (FFmpegError, OSError) as error:
        raise ClipError(f"damaged: {error.strerror or error} at frame {len(frames)}") from error

    if stream.frames - packets > max(1, _SLACK * stream.frames):
        raise ClipError(f"truncated: {packets} of {stream.frames} promised frames")
    if seconds and seconds - end > 0.75 / float(rate):
        raise ClipError(f"truncated: ends at {end:.2f} s of {seconds:.2f} s promised")
    if size is None or len(frames) < limits.min_frames:
        raise ClipError(f"too short: {len(frames)} frames, at least {limits.min_frames}")
    return Video(np.stack(frames), float(rate), *size)


def _promised_seconds(container: InputContainer, stream: av.VideoStream) -> float | None:
    """How long the video claims to be; a container's own length counts only when no sound could be the longer."""
    if tag := stream.metadata.get("DURATION"):
        try:
            hours, minutes, seconds = tag.split(":")
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None  # a free-text tag of another writer
    matroska = "matroska" in container.format.name
    if matroska and container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels_per_frame:
        raise ClipError(f"too large: {width}x{height} pixels a frame, at most {limits.max_pixels_per_frame}")


def _check_length(frames: int, seconds: float, limits: Limits) -> None:
    if frames > limits.max_frames:
        raise ClipError(f"too large: more than {limits.max_frames} frames")
    if seconds > limits.max_seconds:
        raise ClipError(f"too large: longer than {limits.max_seconds:g} s")


def _check_whole(pixels: int, held: int, limits: Limits) -> None:
    if pixels > limits.max_pixels:
        raise ClipError(f"too large: more than {limits.max_pixels} pixels in all its frames")
    if held > limits.max_held_bytes:
        raise ClipError(f"too large: its frames take more than {limits.max_held_bytes} bytes")


def _check_time(seconds: float, limits: Limits) -> None:
    if seconds > limits.max_cpu_s:
        raise ClipError(f"too costly: more than {limits.max_cpu_s:g} s of processor time to decode")


def _rgb(frame: av.VideoFrame, reader: VideoReformatter, limits: Limits) -> np.ndarray:
    """uint8 [H, W, 3], turned upright as the file asks (telephones store sideways)."""
    _check_size(frame.width, frame.height, limits)
    rgb = reader.reformat(frame, format="rgb24", interpolation=_EXACT, threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))


def window_starts(total: int, span: int, windows: int) -> list[int]:
    """First frames of at most `windows` windows of `span` frames that do not overlap, each amid its equal share."""
    count = min(windows, total // span)
    bounds = [k * total // max(1, count) for k in range(count + 1)]
    return [low + (high - low - span) // 2 for low, high in pairwise(bounds)]


def cuts(total: int, frames: int, stride: int, windows: int) -> list[slice]:
    """Where a film of `total` frames is cut into at most `windows` clips of `frames`, every `stride`-th frame taken.

    A smaller stride where the film is too short for it; nothing of a film of fewer frames than a clip has.
    """
    stride = min(stride, (total - 1) // max(1, frames - 1))
    span = (frames - 1) * stride + 1
    return [slice(first, first + span, stride) for first in window_starts(total, span, windows)] if stride else []


def centre_square(image: np.ndarray, size: int) -> np.ndarray:
    """The centre square of uint8 [H, W, 3], or of labels [H, W], at size x size; in integers, the same everywhere."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    method = Image.Resampling.BICUBIC if image.ndim == 3 else Image.Resampling.NEAREST
    return square if side == size else np.asarray(Image.fromarray(square).resize((size, size), method))


def write_lossless(path: Path, frames: np.ndarray, fps: int = 8) -> None:
    """Write uint8 [T, H, W, 3] RGB as FFV1 in Matroska, so that `decode` gives back the same frames.

    The bytes are the same on every machine: one thread, integer coding, no date, random id or library version in the
    file. It appears whole or not at all.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"write_lossless: {frames.dtype} {list(frames.shape)}; uint8 [T, H, W, 3] is needed")
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(_encode_lossless(frames, fps))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encode_lossless(frames: np.ndarray, fps: int) -> bytes:
    _, height, width, _ = frames.shape
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska", options={"fflags": "+bitexact"}) as container:
        exact = {"flags": "+bitexact", "level": "1", "coder": "rice", "context": "0", "threads": "1"}
        stream = container.add_stream("ffv1", rate=fps, options=exact)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for rgb in frames:
            frame = av.VideoFrame(width, height, "bgr0")
            plane = frame.planes[0]
            padded = np.zeros((height, plane.line_size // 4, 4), np.uint8)
            padded[:, :width, :3] = rgb[..., ::-1]
            plane.update(padded.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def encode_mp4(frames: np.ndarray, fps: float) -> bytes:
    """uint8 [T, H, W, 3] RGB as H.264 in MP4, which every player shows; lossy. Equal frames give equal bytes.

    Raises:
        ValueError: no such frames, or of an odd height or width, which 4:2:0 cannot hold.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"encode_mp4: {frames.dtype} {list(frames.shape)}; uint8 [T, H, W, 3] is needed")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"encode_mp4: frames of {frames.shape[1]}x{frames.shape[2]}; both sides must be even")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        # x264's assembly reads beyond what it was given: without it, what lies in memory changes no byte.
        exact = {"crf": "12", "threads": "1", "flags": "+bitexact", "x264-params": "no-asm=1"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=exact)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
