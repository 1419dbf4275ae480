"""Counters, gauges and histograms, written as Prometheus text (exposition format 0.0.4).

What may live here: the three kinds of metric and their text. What must not: what is counted. A child (one set of label
values) is a plain object: on the data path a count is one attribute addition and an observation one bisection, with no
lock, because the event loop is the only writer.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

#: Seconds; from a tenth of a warm execution to the longest transport timeout.
DURATION_BOUNDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def _line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


class Value:
    """One number of a counter or gauge: add to or set `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Distribution:
    """One histogram: counts per bucket, sum and number of what was observed."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value` in the first bucket whose bound is not below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


C = TypeVar("C", Value, Distribution)


class Family(Generic[C]):
    """A metric and its children by label values, in the order of `labels`."""

    def __init__(self, name: str, help_: str, kind: str, labels: tuple[str, ...], make: Callable[[], C]) -> None:
        self.name = name
        self.help = help_
        self.kind = kind
        self.labels = labels
        self._make: Callable[[], C] = make
        self._children: dict[tuple[str, ...], C] = {}

    def child(self, *values: str) -> C:
        """The child with these label values, made on first use. Keep it where it is used often."""
        found = self._children.get(values)
        if found is None:
            if len(values) != len(self.labels):
                raise ValueError(f"{self.name} has labels {self.labels}, got {values}")
            found = self._children[values] = self._make()
        return found

    def remove(self, label: str, value: str) -> None:
        """Forget every child with `label` = `value`, as when a variant has left the catalogue."""
        index = self.labels.index(label)
        for values in [values for values in self._children if values[index] == value]:
            del self._children[values]

    def lines(self) -> Iterator[str]:
        """The lines of this family, children in order of creation."""
        if not self._children:
            return
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} {self.kind}"
        for values, child in self._children.items():
            labels = tuple(zip(self.labels, values, strict=True))
            if isinstance(child, Distribution):
                yield from _histogram_lines(self.name, labels, child)
            else:
                yield _line(self.name, labels, child.value)


def _histogram_lines(name: str, labels: tuple[tuple[str, str], ...], child: Distribution) -> Iterator[str]:
    total = 0
    for bound, count in zip((*map(_number, child.bounds), "+Inf"), child.counts, strict=True):
        total += count
        yield _line(f"{name}_bucket", (*labels, ("le", bound)), total)
    yield _line(f"{name}_sum", labels, child.sum)
    yield _line(f"{name}_count", labels, total)


class Registry:
    """All metrics of one process part, rendered together."""

    def __init__(self) -> None:
        self._families: list[Family[Value] | Family[Distribution]] = []
        self._collectors: list[Callable[[], None]] = []

    def counter(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Family[Value]:
        """A number that only rises; by convention its name ends in `_total`."""
        return self._add(Family(name, help_, "counter", labels, Value))

    def gauge(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Family[Value]:
        """A number that rises and falls."""
        return self._add(Family(name, help_, "gauge", labels, Value))

    def histogram(
        self, name: str, help_: str, labels: tuple[str, ...] = (), bounds: tuple[float, ...] = DURATION_BOUNDS
    ) -> Family[Distribution]:
        """A distribution in buckets; `bounds` rise and are inclusive above."""
        family: Family[Distribution] = Family(name, help_, "histogram", labels, lambda: Distribution(bounds))
        self._families.append(family)
        return family

    def collect(self, collector: Callable[[], None]) -> None:
        """Call `collector` before each rendering, to set gauges that nobody else keeps up to date."""
        self._collectors.append(collector)

    def render(self) -> bytes:
        """Everything as Prometheus text."""
        for collector in self._collectors:
            collector()
        lines = [line for family in self._families for line in family.lines()]
        return ("\n".join(lines) + "\n").encode()

    def _add(self, family: Family[Value]) -> Family[Value]:
        self._families.append(family)
        return family


def process_metrics(registry: Registry, read: Callable[[], Mapping[str, float]]) -> None:
    """Add the standard `process_*` gauges, filled by `read` at each rendering."""
    families: dict[str, Family[Value]] = {}

    def collect() -> None:
        for name, value in read().items():
            if name not in families:
                make = registry.counter if name.endswith("_total") else registry.gauge
                families[name] = make(name, "Standard process metric.")
            families[name].child().value = value

    registry.collect(collect)
