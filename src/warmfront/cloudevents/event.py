"""One CloudEvent as a record, and the rules that its attributes obey (CloudEvents 1.0.2, sections 2 and 3).

What may live here: attributes, their types and their faults. What must not: headers, JSON, whatever carries an event.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from warmfront.errors import InvalidEvent

SPECVERSION: Final = "1.0"
CORE: Final = ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema")

_TAKEN: Final = frozenset({*CORE, "specversion", "data"})
_ABSENT: Final = "is absent or empty; every event needs one"
_EMPTY: Final = "is empty; give it a value or leave it out"

_NON_CHARACTERS: Final = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_ILLEGAL: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NON_CHARACTERS}]")
_NAME: Final = re.compile("[a-z0-9]+")
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:(\d\d)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
# Quantifiers are possessive, so that a hostile value costs linear time.
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PARAMETER: Final = re.compile(rf'[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*+"))?')
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:{_PARAMETER.pattern})*+")
# RFC 3986. A dataschema may end in a fragment, by which schemas are often named.
_PCHARS: Final = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.\-]*+:"
_AFTER_SCHEME: Final = (
    rf"(?://(?:[{_PCHARS}\[\]]++|%[0-9A-Fa-f]{{2}})*+)?"
    rf"(?:[{_PCHARS}/]++|%[0-9A-Fa-f]{{2}})*+"
    rf"(?:\?(?:[{_PCHARS}/?]++|%[0-9A-Fa-f]{{2}})*+)?"
    rf"(?:#(?:[{_PCHARS}/?]++|%[0-9A-Fa-f]{{2}})*+)?"
)
_URI: Final = re.compile(_SCHEME + _AFTER_SCHEME)
_URI_REFERENCE: Final = re.compile(rf"(?:{_SCHEME}|(?![^/?#:]*+:)){_AFTER_SCHEME}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One valid CloudEvent 1.0; building an invalid one raises InvalidEvent with all its faults.

    Absent optional attributes are None. `time` stays the string it came as. `extensions` holds canonical strings under
    lower-case names. `data` is exactly the bytes that `datacontenttype` describes; without data it is empty.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""

    def __post_init__(self) -> None:
        faults: dict[str, str] = {}
        _check_texts(self, faults)
        _check_formats(self, faults)
        if self.extensions:
            _check_extensions(self.extensions, faults)
        if faults:
            raise InvalidEvent(faults)

    def attributes(self) -> Iterator[tuple[str, str]]:
        """Name and canonical string of every attribute that is present, except specversion."""
        for name in CORE:
            value = getattr(self, name)
            if value is not None:
                yield name, value
        yield from self.extensions.items()


def build(values: dict[str, str], data: bytes, faults: dict[str, str]) -> CloudEvent:
    """The event of these attributes, emptying `values`; raises InvalidEvent.

    `faults` are what reading the carrier brought up. They win over what merely follows from them: a value that could
    not be decoded is not also absent.
    """
    take = values.pop
    version = take("specversion", None)
    if version != SPECVERSION:
        found = "is absent" if version is None else f"is {show(version)}"
        faults.setdefault("specversion", f"{found}; wanted {SPECVERSION}")
    try:
        event = CloudEvent(
            id=take("id", ""),
            source=take("source", ""),
            type=take("type", ""),
            subject=take("subject", None),
            time=take("time", None),
            datacontenttype=take("datacontenttype", None),
            dataschema=take("dataschema", None),
            extensions=values,
            data=data,
        )
    except InvalidEvent as invalid:
        raise InvalidEvent({**invalid.faults, **faults}) from None
    if faults:
        raise InvalidEvent(faults)
    return event


def show(value: object) -> str:
    """The value as a message quotes it: at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def charset_of(media_type: str | None) -> str:
    """The charset parameter in lower case; utf-8 when there is none."""
    for parameter in _PARAMETER.finditer(media_type or ""):
        if parameter[1] and parameter[1].lower() == "charset":
            return parameter[2].strip('"').lower()
    return "utf-8"


def essence_of(media_type: str) -> str:
    """The media type in lower case without its parameters."""
    return media_type.partition(";")[0].rstrip().lower()


def _check_texts(event: CloudEvent, faults: dict[str, str]) -> None:
    if not event.id:
        faults["id"] = _ABSENT
    elif not event.id.isprintable():
        _check_characters("id", event.id, faults)
    if not event.type:
        faults["type"] = _ABSENT
    elif not event.type.isprintable():
        _check_characters("type", event.type, faults)
    if event.subject is not None:
        if not event.subject:
            faults["subject"] = _EMPTY
        elif not event.subject.isprintable():
            _check_characters("subject", event.subject, faults)


def _check_formats(event: CloudEvent, faults: dict[str, str]) -> None:
    if not event.source:
        faults["source"] = _ABSENT
    elif _URI_REFERENCE.fullmatch(event.source) is None:
        faults["source"] = f"is {show(event.source)}; wanted a URI reference (RFC 3986)"
    if event.time is not None and not _is_instant(event.time):
        faults["time"] = f"is {show(event.time)}; wanted RFC 3339, such as 2026-11-24T05:51:00Z"
    if event.datacontenttype is not None and _MEDIA_TYPE.fullmatch(event.datacontenttype) is None:
        faults["datacontenttype"] = f"is {show(event.datacontenttype)}; wanted a media type such as text/plain"
    if event.dataschema is not None and _URI.fullmatch(event.dataschema) is None:
        faults["dataschema"] = f"is {show(event.dataschema)}; wanted an absolute URI (RFC 3986)"


def _check_extensions(extensions: Mapping[str, str], faults: dict[str, str]) -> None:
    for name, value in extensions.items():
        if _NAME.fullmatch(name) is None:
            faults[name] = "is no attribute name; only the letters a-z in lower case and digits are allowed"
        elif name in _TAKEN:
            faults[name] = "is a name of the specification's own; an extension needs another"
        elif not value.isprintable():
            _check_characters(name, value, faults)


def _check_characters(name: str, value: str, faults: dict[str, str]) -> None:
    """Printable text is always legal; what is not printable may still be, such as a no-break space."""
    illegal = _ILLEGAL.search(value)
    if illegal is not None:
        faults[name] = f"holds U+{ord(illegal[0]):04X}; control characters, surrogates and non-characters are illegal"


def _is_instant(text: str) -> bool:
    shape = _RFC3339.fullmatch(text)
    if shape is None:
        return False
    if shape[1] == "60":  # a leap second is legal, and unknown to datetime
        text = f"{text[:17]}59{text[19:]}"
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True
