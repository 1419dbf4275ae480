"""How a Revision says that it is kept warm: four annotations. Pure: no connection, no clock.

Revisions' annotations are the whole state, so any selector replica may write and all of them read the same.
`autoscaling.knative.dev/min-scale` is what acts: Knative's autoscaler honours it on a Revision at run time, and no new
Revision comes of it. The others tell until when, by whom, and which min-scale to go back to. Their names begin as they
do because Knative copies a Revision's annotations to its pods, so that a change replaces them all; it leaves out only
what begins with `autoscaling.knative.dev`, subdomains of ours included.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, NamedTuple

from warmfront.kube.resources import annotations_of, labels_of

MIN_SCALE = "autoscaling.knative.dev/min-scale"
MAX_SCALE = "autoscaling.knative.dev/max-scale"
UNTIL = "autoscaling.knative.dev.warmfront.dev/warm-until"
BY = "autoscaling.knative.dev.warmfront.dev/warm-by"
BEFORE = "autoscaling.knative.dev.warmfront.dev/warm-before"
_SERVICE = "serving.knative.dev/service"

#: Who asked, when it was a person; a selector that keeps of its own accord writes `selector/IDENTITY`.
PERSON = "person"

Object = Mapping[str, Any]
Changes = dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A Revision that is kept warm. `until` is the time of day, in seconds since 1970."""

    variant: str
    revision: str
    until: float
    by: str
    replicas: int


class Chore(NamedTuple):
    """End this keep: its time is over, or (`successor` named) the variant has gone on to another revision."""

    kept: Kept
    successor: str = ""


def kept_by(revision: Object) -> Kept | None:
    """What the Revision's annotations say; a time that cannot be read is over."""
    annotations = annotations_of(revision)
    if UNTIL not in annotations:
        return None
    return Kept(
        variant=labels_of(revision).get(_SERVICE, ""),
        revision=revision["metadata"]["name"],
        until=_seconds(annotations[UNTIL]),
        by=annotations.get(BY, ""),
        replicas=_number(annotations.get(MIN_SCALE)),
    )


def keeping(revision: Object, *, until: float, by: str, replicas: int, wall: float) -> Changes:
    """The annotations to change so that it is kept; none when it is kept so already.

    Never above its max-scale and never below the min-scale it had. A person's word overrules a selector's, and not the
    other way round; of two selectors the one that keeps longer wins.
    """
    annotations, now_kept = annotations_of(revision), kept_by(revision)
    if now_kept is not None and now_kept.until > wall and by != PERSON:
        longer = until > now_kept.until or replicas > now_kept.replicas
        if now_kept.by == PERSON or not longer:
            return {}
    before = annotations.get(MIN_SCALE) if now_kept is None else annotations.get(BEFORE)
    scale = max(replicas, _number(before))
    if most := _number(annotations.get(MAX_SCALE)):
        scale = min(scale, most)
    wanted: Changes = {MIN_SCALE: str(scale), UNTIL: rfc3339(until), BY: by, BEFORE: before}
    return {name: value for name, value in wanted.items() if annotations.get(name) != value}


def releasing(revision: Object) -> Changes:
    """The annotations to change so that it is as it was; none when it is not kept."""
    annotations = annotations_of(revision)
    if UNTIL not in annotations:
        return {}
    return {MIN_SCALE: annotations.get(BEFORE), UNTIL: None, BY: None, BEFORE: None}


def due(kept: Iterable[Kept], revisions: Mapping[str, str], wall: float) -> list[Chore]:
    """What to do now, `revisions` being the one of each variant that serves."""
    chores = []
    for one in kept:
        current = revisions.get(one.variant, one.revision)
        if one.until <= wall:
            chores.append(Chore(one))
        elif current not in {"", one.revision}:
            chores.append(Chore(one, current))
    return chores


def rfc3339(wall: float) -> str:
    """The time of day in UTC, rounded up to whole seconds."""
    return datetime.fromtimestamp(ceil(wall), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
