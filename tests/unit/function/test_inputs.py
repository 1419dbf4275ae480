"""What a body means to a model, by its content type."""

import pytest

from warmfront.function import as_bytes, as_text


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        (b"abc", "", b"abc"),
        (b"\xff\x00", "application/octet-stream", b"\xff\x00"),
        (b'"abc"', "text/plain", b'"abc"'),
        (b'"a\\u00e9"', "application/json", "aé".encode()),
        (b"[1, 2]", "application/json", b"[1, 2]"),
        (b"{broken", "application/vnd.x+json", b"{broken"),
    ],
)
def test_bytes_are_taken_as_they_come(data: bytes, content_type: str, expected: bytes) -> None:
    """A model of bytes takes anything; only a JSON string stands for its content, as in the other protocols."""
    assert as_bytes(data, content_type) == expected


@pytest.mark.parametrize(
    "content_type", ["text/plain", "text/plain; charset=UTF-8", 'TEXT/PLAIN; format=flowed; charset="utf-8"', ""]
)
def test_text_is_utf8(content_type: str) -> None:
    """UTF-8 under its usual spellings, and when nothing is said."""
    assert as_text("Grüße".encode(), content_type) == "Grüße"
