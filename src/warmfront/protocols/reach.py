"""Which protocol reaches which: the way from what a client speaks to what a variant speaks.

What may live here: the table of conversions and the choice of a way. What must not: how a body is converted
(bodies.py, tensors.py).
"""

from collections.abc import Mapping
from typing import NamedTuple

from warmfront.domain import Variant
from warmfront.protocols import INFER, PROTOCOLS
from warmfront.protocols.bodies import ITSELF, OPAQUE, OPENED, ROWS_ONLY, SAME_ROWS, Conversion
from warmfront.protocols.tensors import FROM_COLUMNS, TO_COLUMNS, TO_ROWS

#: (what the client speaks, what the variant speaks): both ways are lossless, or the request is refused with the reason.
CONVERSIONS: Mapping[tuple[str, str], Conversion] = {
    ("raw", "cloudevents"): OPENED,
    ("raw", "sagemaker"): OPAQUE,
    ("cloudevents", "raw"): OPAQUE,
    ("cloudevents", "sagemaker"): OPAQUE,
    ("sagemaker", "raw"): OPAQUE,
    ("sagemaker", "cloudevents"): OPENED,
    ("tensorflow-serving", "kserve-v1"): ROWS_ONLY,
    ("kserve-v1", "tensorflow-serving"): SAME_ROWS,
    ("tensorflow-serving", "open-inference"): FROM_COLUMNS,
    ("kserve-v1", "open-inference"): FROM_COLUMNS,
    ("open-inference", "tensorflow-serving"): TO_COLUMNS,
    ("open-inference", "kserve-v1"): TO_ROWS,
    **{
        (client, variant): conversion
        for client in ("raw", "cloudevents", "sagemaker")
        for variant, conversion in ITSELF.items()
    },
}


class Way(NamedTuple):
    """How a variant is asked: by which protocol, on which path, and converted how (None: not at all)."""

    protocol: str
    path: str
    conversion: Conversion | None = None


def way(protocols: tuple[str, ...], variant: Variant, verb: str = INFER) -> Way | None:
    """The way to `variant` for a client that speaks one of `protocols`; None when there is none.

    The client's own protocol comes first; else the first that the variant names and a conversion leads to. Only
    inference is ever converted.
    """
    for name in protocols:
        if name in variant.protocols and verb in PROTOCOLS[name].paths:
            return Way(name, PROTOCOLS[name].path(verb, variant.name))
    if verb == INFER:
        for spoken in variant.protocols:
            for name in protocols:
                conversion = CONVERSIONS.get((name, spoken))
                if conversion is not None:
                    return Way(spoken, PROTOCOLS[spoken].path(INFER, variant.name), conversion)
    return None
