"""Everything that can be set, read once from the environment into one frozen record.

What may live here: names of environment variables, defaults, rules. What must not: acting on a setting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from warmfront.errors import SetupError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The selector's settings. Field `x_y` is read from `WARMFRONT_X_Y`, except those in `_PLATFORM_NAMES`.

    `timeout_s` is the transport timeout, a cold start included, and the deadline of requests that have none.
    `header_timeout_s` and `body_timeout_s` bound how long a client may take to send, `max_waiting` how many requests
    wait for a cold start. `access_log` is the share of requests logged, 0 to 1. `token`, when set, is wanted as bearer
    token on everything but health and inference. `platform` names where the variants run (laptop or cluster), the
    prior for start-up times; unset, a pod knows by KUBERNETES_SERVICE_HOST. `keep_warm` lets it keep variants warm;
    on a cluster that takes the permission to patch Revisions. `plan` is `on`, or `dry-run`: what would be started and
    kept is only shown. What the plan keeps or starts takes `max_warm_gb` of memory at most; `price_per_gb_s` is what a
    GB-second is worth, in right answers in time, and `budget_gb_s_per_hour` what may be used of them. With `hedge` a
    second variant is asked beside one that may not answer in time, for `hedge_share` of the requests at most. `seed`
    makes policies that draw lots repeatable.
    `records` is a file for request rows. `learned` is where what was learned survives a restart: `configmap` (the
    ConfigMap warmfront-learned), `off`, or a file.
    """

    port: int = 8080
    host: str = "0.0.0.0"
    service: str = "selector"
    revision: str = ""
    policy: str = "effective"
    platform: str = "cluster"
    keep_warm: bool = False
    plan: str = "on"
    max_warm_gb: float = 4.0
    price_per_gb_s: float = 0.001
    budget_gb_s_per_hour: float | None = None
    hedge: bool = False
    hedge_share: float = 0.05
    seed: int | None = None
    run_id: str = ""
    token: str = ""
    timeout_s: float = 300.0
    grace_s: float = 10.0
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    max_in_flight: int = 2048
    max_in_flight_bytes: int = 256 * MIB
    max_waiting: int = 1024
    max_body_bytes: int = 16 * MIB
    max_reply_bytes: int = 64 * MIB
    max_connections: int = 4096
    duplicates: int = 10_000
    duplicates_bytes: int = 64 * MIB
    duplicates_age_s: float = 900.0
    labels: int = 10_000
    records: Path | None = None
    learned: str = "configmap"
    access_log: float = 0.0
    log_level: str = "INFO"

    @property
    def source(self) -> str:
        """The `source` of the events that this selector sends; stable across restarts."""
        return f"/warmfront/{self.service}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every setting. Raises SetupError that names all variables with a broken value."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for field in fields(cls):
            name = _PLATFORM_NAMES.get(field.name, f"WARMFRONT_{field.name.upper()}")
            text = environ.get(name, "").strip()
            if not text:
                continue
            parse, rule = _RULES.get(field.name) or _BY_TYPE[type(field.default)]
            try:
                values[field.name] = parse(text)
            except ValueError:
                faults.append(f"{name} is {text!r}; it must be {rule}")
        if faults:
            raise SetupError("; ".join(faults))
        values.setdefault("platform", "cluster" if environ.get("KUBERNETES_SERVICE_HOST") else "laptop")
        return cls(**values)


_PLATFORM_NAMES = {"port": "PORT", "host": "HOST", "service": "K_SERVICE", "revision": "K_REVISION"}


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise ValueError
        return value

    return parse


def _one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    return parse


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise ValueError
    return text == "on"


_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_Rule = tuple[Callable[[str], Any], str]
_BY_TYPE: Mapping[type, _Rule] = {
    str: (str, "text"),
    bool: (_switch, "on or off"),
    int: (_whole(1, 2**40), "a whole number from 1"),
    float: (_number(0.001, 86_400), "a number of seconds from 0.001 to 86400"),
}
_RULES: Mapping[str, _Rule] = {
    "port": (_whole(0, 65_535), "a port from 0 to 65535 (0: any free one)"),
    "seed": (_whole(0, 2**63 - 1), "a whole number from 0"),
    "access_log": (_number(0, 1), "a share from 0 to 1"),
    "hedge_share": (_number(0, 1), "a share from 0 to 1"),
    "plan": (_one_of("on", "dry-run"), "on or dry-run"),
    "max_warm_gb": (_number(0, 1e6), "a number of GB from 0 to 1000000"),
    "price_per_gb_s": (_number(0, 1), "a number from 0 to 1"),
    "budget_gb_s_per_hour": (_number(0.001, 1e9), "a number of GB-seconds from 0.001 to 1000000000"),
    "platform": (_one_of("laptop", "cluster"), "laptop or cluster"),
    "log_level": (_one_of(*_LEVELS), f"one of {', '.join(_LEVELS)}"),
    "records": (Path, "a file"),
}
