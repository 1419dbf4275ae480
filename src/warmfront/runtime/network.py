"""Extra network latency between a caller's region and a variant, so that placements can be tried on one machine.

What lives here: reading the settings and answering one question. The ingress does the waiting. Zero unless set.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from warmfront.errors import SetupError

REGION_HEADER = b"warmfront-region"
ANNOTATION = "warmfront.dev/network-ms"
ANY_REGION = "*"

Delays = Mapping[str, float]
"""Milliseconds of added latency by caller region; `*` stands for callers of any other region or none."""


class Network:
    """Knows the added latency per (region, variant); a Service's annotation wins over the file."""

    def __init__(self, from_file: Mapping[str, Delays]) -> None:
        self._from_file = from_file

    @classmethod
    def load(cls, path: Path | None) -> "Network":
        """Read `{"VARIANT": {"REGION": MILLISECONDS}}`; None: no latency is added anywhere."""
        if path is None:
            return cls({})
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, float]]))
        except (OSError, msgspec.DecodeError) as error:
            raise SetupError(
                f'network file {path}: {error}; it must read {{"VARIANT": {{"REGION": MILLISECONDS}}}}'
            ) from None

    def delays(self, variant: str, annotation: str) -> Delays:
        """The delays of one variant, given its Service's annotation (empty when absent)."""
        return parse_delays(annotation) if annotation else self._from_file.get(variant, {})


def parse_delays(text: str) -> Delays:
    """Read the annotation, e.g. `{"eu": 10, "us": 100, "*": 30}`; raises SetupError naming it when it is not that."""
    try:
        delays = msgspec.json.decode(text, type=dict[str, float])
    except msgspec.DecodeError as error:
        raise SetupError(
            f'annotation {ANNOTATION} is {text!r} ({error}); it must read {{"REGION": MILLISECONDS}}'
        ) from None
    if any(ms < 0 for ms in delays.values()):
        raise SetupError(f"annotation {ANNOTATION} is {text!r}; latency must not be negative")
    return delays


def delay_s(delays: Delays, region: bytes | None) -> float:
    """Seconds to hold a request of that region."""
    if not delays:
        return 0.0
    name = (region or b"").decode("latin-1")
    return delays.get(name, delays.get(ANY_REGION, 0.0)) / 1000
