"""How a deployment on its way is shown: a live tree in a terminal, a line per change elsewhere."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree as RichTree

from warmfront.kube.deployment import KNATIVE, Part
from warmfront.kube.rollout import Phase, Row

_MARKS = {
    Phase.PENDING: ("·", "dim"),
    Phase.APPLYING: ("…", "yellow"),
    Phase.WAITING: ("…", "yellow"),
    Phase.READY: ("✓", "green"),
    Phase.FAILED: ("✗", "red"),
    Phase.SKIPPED: ("-", "dim"),
}
_SILENT = frozenset({Phase.READY, Phase.FAILED})


def line_of(row: Row, now: float) -> str:
    """`service/selector ready 2.1 s`, with what it says while it waits; why it failed is told at the end."""
    ready = "ready" if row.part.resource in KNATIVE else "there"
    word = ready if row.phase is Phase.READY else row.phase.value
    seconds = f" {row.seconds(now):.1f} s" if row.started_at is not None else ""
    said = f"  {row.message}" if row.message and row.phase not in _SILENT else ""
    return f"{row.part.label} {word}{seconds}{said}"


class Lines:
    """A line whenever an object comes to a new phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, Phase] = {}

    def show(self, row: Row) -> None:
        """One row has changed."""
        if self._last.get(row.part.label) is row.phase or row.phase is Phase.APPLYING:
            return
        self._last[row.part.label] = row.phase
        now = asyncio.get_running_loop().time()
        self._console.print(line_of(row, now), markup=False, soft_wrap=True)


class Tree:
    """Objects under their kinds, each with its state and seconds; drawn by a thread four times a second."""

    def __init__(self, console: Console, namespace: str, parts: Sequence[Part]) -> None:
        self._console = console
        self._namespace = namespace
        self._rows = [Row(part=part) for part in parts]
        self._loop = asyncio.get_running_loop()

    def live(self) -> Live:
        """The display; enter it."""
        return Live(get_renderable=self._tree, console=self._console, refresh_per_second=4)

    def show(self, row: Row) -> None:
        """One row has changed."""
        self._rows = [row if row.part is one.part else one for one in self._rows]

    def _tree(self) -> Any:
        root = RichTree(f"namespace {self._namespace}", guide_style="dim")
        branches: dict[str, RichTree] = {}
        now = self._loop.time()
        for row in self._rows:
            kind = row.part.resource.kind
            branch = branches.get(kind) or branches.setdefault(kind, root.add(kind))
            mark, style = _MARKS[row.phase]
            text = line_of(row, now).partition("/")[2]
            branch.add(Text(f"{mark} {text}", style=style, no_wrap=True, overflow="ellipsis"))
        return root
