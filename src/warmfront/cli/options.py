"""Options that several commands share, and the units people type."""

import math
import re
from pathlib import Path
from typing import Any

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
STATE = Path(".warmfront")


class Duration(click.ParamType[float]):
    """A duration such as `300ms`, `1.5s` or `2m`; a bare number is refused, since its unit would be a guess.

    `at_most`: the longest, in whole hours.
    """

    name = "duration"

    def __init__(self, at_most: int | None = None) -> None:
        self._at_most = at_most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(value))
        if match is None or float(match[1]) <= 0:
            self.fail(
                f"{value!r} is not a duration; write a number above 0 with ms, s, m or h, such as 300ms",
                param,
                ctx,
            )
        seconds = float(match[1]) * _UNITS[match[2]]
        if self._at_most is not None and seconds > self._at_most * _UNITS["h"]:
            self.fail(f"found {value}; at most {self._at_most}h can be asked for", param, ctx)
        return seconds


class Number(click.FloatRange):
    """A number of a range, such as click's, that is neither nan nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return found


class Durations(click.ParamType[tuple[float, ...]]):
    """One duration or several, separated by commas: `200ms,1s`."""

    name = "durations"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Seconds."""
        if isinstance(value, tuple):
            return value
        return tuple(Duration().convert(part.strip(), param, ctx) for part in str(value).split(","))


def selector_option(function: Any) -> Any:
    """`--selector`: where to reach the selector, when it is not found by itself."""
    return click.option(
        "--selector",
        metavar="URL",
        envvar="WARMFRONT_SELECTOR",
        help="The selector's URL.  [default: as the API server says that KUBECONFIG or ./.warmfront/kubeconfig names]",
    )(function)


def namespace_option(function: Any) -> Any:
    """`-n/--namespace`, as in kn."""
    return click.option("-n", "--namespace", help="Namespace of the selector.  [default: the kubeconfig's]")(function)
