"""Feedback events: whether an earlier answer was right, told as a verdict, a score or the true label.

What may live here: reading the event's data and comparing a label with the remembered one. What must not: learning.
"""

from urllib.parse import unquote

import msgspec

from warmfront.cloudevents import CloudEvent
from warmfront.domain import Feedback
from warmfront.errors import NotFound, Unprocessable
from warmfront.gateway.plane import Plane


class _Data(msgspec.Struct):
    decision_id: str
    correct: bool | None = None
    score: float | None = None
    label: str | None = None


_decoder = msgspec.json.Decoder(_Data)
_RULE = 'wanted {"decision_id": ..., and one of "correct": true or false, "score": 0 to 1, "label": text}'


def take(plane: Plane, event: CloudEvent) -> None:
    """Hand the truth to the selector. Raises Unprocessable (422) for data that cannot be used; retrying is no use."""
    try:
        data = _decoder.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unprocessable(f"feedback data: {error}; {_RULE}") from None
    given = [name for name in ("correct", "score", "label") if getattr(data, name) is not None]
    if len(given) != 1:
        raise Unprocessable(f"feedback data has {given or 'no verdict'}; {_RULE}")
    if data.score is not None and not 0 <= data.score <= 1:
        raise Unprocessable(f"feedback score is {data.score}; it must lie in [0, 1]")
    correct = _share(plane, data)
    try:
        plane.selector.observe(Feedback(decision_id=data.decision_id, correct=correct), plane.clock())
    except NotFound:
        raise Unprocessable(
            f"decision {data.decision_id!r} is unknown or forgotten; send feedback sooner, to the selector that decided"
        ) from None
    plane.measures.feedback.child(given[0]).value += 1


def _share(plane: Plane, data: _Data) -> float:
    if data.score is not None:
        return data.score
    if data.correct is not None:
        return float(data.correct)
    given = plane.labels.recall(data.decision_id)
    if given is None:
        raise Unprocessable(
            f"no label is remembered for decision {data.decision_id!r}: the variant sends no Warmfront-Label, or it is "
            "too long ago; send correct or score instead"
        )
    return float(unquote(given) == data.label)
