"""What a process says of itself, each time in a process of its own."""

import subprocess
import sys

FAULTS = """
import resource
from warmfront.telemetry.process import keep_freed_memory

def faults_of_four_bodies():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        bytes(range(256)) * 16384
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults_of_four_bodies()
kept = keep_freed_memory()
faults_of_four_bodies()
print(kept, without, faults_of_four_bodies())
"""


def test_freed_memory_is_kept_for_the_next_body():
    """A body of 4 MB is 1,024 pages, which the kernel clears when it gives them: more than once before, never after."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=30, check=True)
    kept, without, with_it = done.stdout.split()
    if kept == "False":  # a C library without mallopt, as in Alpine Linux
        return
    assert int(without) > 1024
    assert int(with_it) < 100
