"""What a process can say of itself, and ask of its memory."""

import os
import time


def process_age_s() -> float:
    """Seconds since the kernel started this process, to 10 ms; without /proc the CPU time so far, which is less."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - pathlib costs a start 5 ms
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return time.process_time()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


# mallopt(3): free memory at the top of the heap beyond this is given back; blocks from this size are mapped one by one
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 128 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Keep up to 128 MiB of freed memory instead of giving it back after every large body; False where the C library
    has no such setting.

    Else each body of 1 MB is written to pages that the kernel has to clear first: two thirds of what its way costs.
    """
    import ctypes  # noqa: PLC0415 - 2 ms that whoever only asks for the age need not wait

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES))
