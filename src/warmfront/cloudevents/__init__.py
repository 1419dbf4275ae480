"""CloudEvents over HTTP, to the letter of the HTTP protocol binding 1.0.2 and the JSON event format 1.0.2.

The published SDKs do not conform: they leave header values encoded, invent a missing id, cannot read a batch. This
codec is strict where a mistake would cost an event its identity: a missing id, an illegal name, a doubled header, an
overlong UTF-8 sequence are faults, and all faults of a message are reported at once, keyed by attribute. Data is bytes
and stays those bytes: JSON data is cut out of a structured event, and put into one, verbatim; it is never parsed and
printed again.

A message is (headers, body) and belongs to no server, client or framework. Header names are lower-case and values free
of surrounding blanks, as HTTP parsers hand them out.

    event.py        one event as a record, and the rules of its attributes
    http.py         binary mode, and which mode a message is in
    json_format.py  structured and batch mode
"""

from warmfront.cloudevents.event import CloudEvent
from warmfront.cloudevents.http import Headers, Mode, decode, decode_batch, encode, encode_batch, mode_of

__all__ = [
    "CloudEvent",
    "Headers",
    "Mode",
    "decode",
    "decode_batch",
    "encode",
    "encode_batch",
    "mode_of",
]
