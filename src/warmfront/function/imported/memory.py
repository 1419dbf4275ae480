"""Whether a model has room: said before it is loaded, since afterwards the kernel only kills."""

from pathlib import Path

from warmfront.errors import SetupError

_CGROUP = Path("/sys/fs/cgroup")


def check_room(path: Path) -> None:
    """Raises SetupError when the files at `path` alone are larger than the memory that is left."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else (
        path.stat().st_size
    )  # fmt: skip
    left = memory_left()
    if left is not None and size > left:
        raise SetupError(
            f"{path}: the model has {size / 2**20:,.0f} MB, and {left / 2**20:,.0f} MB of memory are left; "
            f"give the container more (resources.limits.memory) or take a smaller variant"
        )


def memory_left() -> int | None:
    """Bytes that this process may still take: the less of the container's limit and the machine's; None: unknown."""
    found = [left for left in (_of_container(), _of_machine()) if left is not None]
    return min(found, default=None)


def _of_container() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        return None if limit == "max" else int(limit) - used
    except (OSError, ValueError):
        return None


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
