"""The peak resident memory of this very process."""

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_resident() -> int:
    """In bytes. Linux's getrusage also counts the parent that a fresh process was forked from; its VmHWM does not."""
    lines = STATUS.read_text().splitlines() if STATUS.is_file() else []
    if line := next((line for line in lines if line.startswith("VmHWM:")), None):
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
