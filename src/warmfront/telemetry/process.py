"""What a process can say of itself."""

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
