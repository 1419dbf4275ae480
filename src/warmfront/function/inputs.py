"""From the bytes of a request to the input of a model, one function per kind of model.

What lives here: content types. What must not: protocols, routes.
"""

import msgspec

from warmfront.errors import InvalidRequest, UnsupportedMediaType


def as_text(data: bytes, content_type: str) -> str:
    """The text to classify: UTF-8, or the content of a JSON string when the content type is JSON.

    Every other content type is taken as plain text, since `curl -d` calls a sentence a form.

    Raises:
        InvalidRequest: not UTF-8, empty, or JSON that is not a string.
        UnsupportedMediaType: the content type names another charset.
    """
    charset = _parameter(content_type, "charset") or "utf-8"
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType(f"the text is declared as {charset}; send it as UTF-8")
    if is_json(content_type):
        try:
            text = msgspec.json.decode(data, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f'the JSON input is not one string ({error}); send "text" or use text/plain'
            ) from error
    else:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(
                f"the text is not UTF-8: {error.reason} at byte {error.start}; send it as UTF-8"
            ) from error
    if not text.strip():
        raise InvalidRequest("the text is empty; send at least one character that is not a blank")
    return text


def as_bytes(data: bytes, content_type: str) -> bytes:
    """The input as it came, except that a JSON string stands for its content, so that every protocol says the same."""
    if is_json(content_type):
        try:
            return msgspec.json.decode(data, type=str).encode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            return data
    return data


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON: `application/json`, `text/json` or anything with the suffix `+json`."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _parameter(content_type: str, name: str) -> str:
    for part in content_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
