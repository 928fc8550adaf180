"""Films decoded in a process of their own (design §12): a file made to do harm takes that process, never the ingest.

The limits of `video.py` are asked between frames. What ffmpeg does before it gives control back they cannot stop: a
table of 1 kB that unfolds into gigabytes, a packet that never ends, a fault of a codec. So the films of an ingest,
which may come from anybody, are decoded by a child with a bound on its memory and its processor time. It can write no
file and knows none of the environment's secrets. It serves one film after another and is started anew after one that
ended it. Requests and answers are a line of JSON; pixels follow as plain bytes. Nothing is unpickled.
"""

import errno
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from models.data.video import ClipError, Limits, Video, centre_square, decode

_ROOT = Path(__file__).parents[2]
_START_S = 60.0
_WAIT = 4.0
"""A film may take so many times its processor time by the clock: the disk may be slow, the machine busy."""
_ANSWER_BYTES = 2**16
_CHUNK = 2**20
_BY_THE_FILE = {
    signal.SIGSEGV: "damaged: it crashed the decoder",
    signal.SIGBUS: "damaged: it crashed the decoder",
    signal.SIGFPE: "damaged: it crashed the decoder",
    signal.SIGILL: "damaged: it crashed the decoder",
    signal.SIGABRT: "damaged: it crashed the decoder",
    signal.SIGXCPU: "too costly: more than {limits.max_cpu_s:g} s of processor time to decode",
}
"""Ends of the child that the film is to blame for. Any other signal came from the machine or a person."""


class DecoderError(RuntimeError):
    """The decoder cannot work here, or was ended from outside; no film is to blame."""


class Decoder:
    """Decodes films in a child process, started with the first one and ended with the `with` that it is used in."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        return self._child.pid if self._child else None

    def film(self, path: Path, size: int) -> Video:
        """`decode`, each frame's centre square at size x size.

        Raises:
            ClipError: as `decode`; also a film that ended the child, or went past the limits of memory or time.
            DecoderError: the child does not start, or was ended by somebody else.
        """
        child = self._child or self._start()
        deadline = time.monotonic() + _WAIT * self.limits.max_cpu_s
        request = json.dumps([str(path.absolute()), size]).encode() + b"\n"
        try:
            assert child.stdin
            with suppress(BrokenPipeError):  # it ended meanwhile: the answer that does not come says so
                child.stdin.write(request)
            answer = self._answer(deadline)
            if "refused" in answer:
                if answer["spent"]:
                    self._end()
                raise ClipError(answer["refused"])
            frames = np.frombuffer(self._bytes(answer["frames"] * size * size * 3, deadline), np.uint8)
        except TimeoutError:
            self._end()
            raise ClipError(f"too costly: not decoded in {_WAIT * self.limits.max_cpu_s:g} s by the clock") from None
        except EOFError:
            raise self._ended() from None
        return Video(frames.reshape(-1, size, size, 3), answer["fps"], answer["height"], answer["width"])

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "models.data.decoding", json.dumps(asdict(self.limits))]
        # A library's pool of threads, one a core, would count as memory of the child.
        environment = {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
        )
        try:
            self._answer(time.monotonic() + _START_S)
        except (EOFError, TimeoutError):
            self._end()
            raise DecoderError("the decoder's process does not start; run `foresight doctor`") from None
        return self._child

    def _end(self) -> None:
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _ended(self) -> Exception:
        """What to say of a child that ended by itself."""
        assert self._child
        code = self._child.wait()
        self._end()
        if reason := _BY_THE_FILE.get(-code):  # pyright: ignore[reportArgumentType]
            return ClipError(reason.format(limits=self.limits))
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        return DecoderError(f"the decoder's process was ended {how}; run again, what is done is kept")

    def _answer(self, deadline: float) -> dict[str, Any]:
        line = bytearray()
        while not line.endswith(b"\n"):
            if len(line) > _ANSWER_BYTES:
                raise EOFError
            line += self._bytes(1, deadline)
        return json.loads(line)

    def _bytes(self, count: int, deadline: float) -> bytearray:
        """So many bytes of the child's answer.

        Raises:
            EOFError: the child ended before.
            TimeoutError: they did not come in time.
        """
        assert self._child
        assert self._child.stdout
        source, read = self._child.stdout.fileno(), bytearray()
        while len(read) < count:
            if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            chunk = os.read(source, min(_CHUNK, count - len(read)))
            if not chunk:
                raise EOFError
            read += chunk
        return read


def main(limits: Limits) -> None:
    """Serve films until the other end closes."""
    _bound(limits)
    _say({"ready": True})
    for line in sys.stdin.buffer:
        path, size = json.loads(line)
        _bound_time(limits)
        try:
            video = decode(Path(path), limits, partial(centre_square, size=size))
        except (ClipError, MemoryError) as error:
            spent = isinstance(error, MemoryError) or _out_of_memory(error)
            reason = f"too large: decoding it takes more than {limits.max_memory} bytes of memory"
            _say({"refused": reason if spent else str(error), "spent": spent})
            continue
        _say({"frames": len(video.frames), "fps": video.fps, "height": video.height, "width": video.width})
        sys.stdout.buffer.write(video.frames.data)
        sys.stdout.buffer.flush()


def _bound(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory, limits.max_memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _bound_time(limits: Limits) -> None:
    """Processor time from here on, a second more than `decode` itself asks for."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(time.process_time() + limits.max_cpu_s) + 1, hard))


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error.__cause__, MemoryError) or getattr(error.__cause__, "errno", None) == errno.ENOMEM


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Limits(**json.loads(sys.argv[1])))
