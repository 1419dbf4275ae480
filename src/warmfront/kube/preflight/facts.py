"""What was seen, before any judgement, and what a judgement looks like. Records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Status(Enum):
    """How a check ended. `NA`: what it asks about does not exist here, or cannot be seen from here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NA = "not applicable here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's result: what was found and, unless all is well, what to do."""

    check: str
    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program of this machine. No path: not found. `error`: what it said instead of its version."""

    name: str
    path: str = ""
    version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API server that answers. `skew_s`: its clock less ours, known to a second; None when it tells no date."""

    url: str
    version: str
    embedded: bool
    skew_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Knative Serving or Eventing. `deployments`: name -> whether all replicas are up; None when unseen."""

    present: bool
    version: str = ""
    deployments: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """Where requests from outside come in. `service` is `namespace/name`; empty when the class is not known here."""

    kind: str = ""
    service: str = ""
    external: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How a Service's URL works from here.

    `addresses` is what its host resolves to, `unresolved` why it does not. `status` is that of a reply, `refused` why
    there was none; neither when nothing was asked. `genuine`: the selector itself replied. `through` is the ingress'
    address by which it replied to a Host header, `inside` what its cluster-local name resolves to.
    """

    service: str
    url: str
    private: bool = False
    addresses: tuple[str, ...] = ()
    unresolved: str = ""
    status: int | None = None
    genuine: bool = False
    refused: str = ""
    through: str = ""
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whether somebody may do something."""

    verb: str
    resource: str
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One object of the namespace: Ready or not (None: not known yet), what it says, what its pods say.

    Of a variant also the name its model goes by, the protocol it prefers, and whether its readiness is asked of itself
    (`probed`) or is only that its port opens.
    """

    kind: str
    name: str
    ready: bool | None
    message: str = ""
    pods: str = ""
    variant: bool = False
    model: str = ""
    protocol: str = ""
    probed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the selector's /readyz says of itself; `error` when it could not be asked."""

    ready: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. `api` None: no API server answers, `error` says why (empty: none is configured), and nothing that
    follows is known.

    `zero_scale` and `broker_class` are settings of the cluster, None when they may not be read. `user` is what deploy
    does, `account` what the selector's ServiceAccount needs, None when that may not be asked. `objects` None: the
    namespace may not be listed. `readiness` is the path by protocol that says whether the model NAME can answer.
    """

    namespace: str
    programs: tuple[Program, ...]
    api: Api | None = None
    error: str = ""
    serving: Component = Component(present=False)
    eventing: Component = Component(present=False)
    zero_scale: str | None = None
    broker_class: str | None = None
    ingress: Ingress = Ingress()
    reach: Reach | None = None
    user: tuple[Access, ...] | None = ()
    account_name: str = ""
    account: tuple[Access, ...] | None = ()
    objects: tuple[Standing, ...] | None = ()
    selector: Told | None = None
    readiness: Mapping[str, str] = field(default_factory=dict)
