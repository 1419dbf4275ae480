"""What there is to know of a protocol before a byte of it is read: paths, content type, readiness, errors, objective.

What may live here: the record and its words. What must not: any one protocol (a module each), bodies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

#: What can be asked of a model, whatever the protocol. INFER every protocol has.
INFER = "infer"
CLASSIFY = "classify"
REGRESS = "regress"
METADATA = "metadata"


class Errors(Enum):
    """What an error's body looks like."""

    PROBLEM = "problem details (RFC 9457)"
    ERROR = '`{"error": "..."}`'
    STATUS = "`grpc-status`, `grpc-message`"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Protocol:
    """One protocol, itself and no equal.

    `paths` gives for each verb the path on a variant; in it `{model}` is the variant's name and `{version}` what the
    client asked for (`/versions/3`, `/labels/stable`), most often nothing. `readiness` is the path that answers 200 as
    soon as the model can answer and not before: the one for a readinessProbe. `objective` says where an objective may
    travel besides the Warmfront-* headers; headers win.
    """

    name: str
    paths: Mapping[str, str]
    content_type: str
    readiness: str
    errors: Errors
    objective: str = ""

    def path(self, verb: str, model: str, version: str = "") -> str:
        """The path for `verb`, which must be one of `paths`."""
        return self.paths[verb].format(model=model, version=version)
