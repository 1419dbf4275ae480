"""How gRPC says lengths, times and errors."""

import gzip
import zlib

import pytest

from warmfront.errors import BodyTooLarge, InvalidRequest
from warmfront.protocols import METADATA, PROTOCOLS, Errors, errors_at, grpc
from warmfront.protocols.grpc import Code


def test_a_frame_holds_one_message():
    """Flag, length, message; packed as its grpc-encoding says."""
    assert grpc.framed(b"abc") == b"\0\0\0\0\x03abc"
    assert grpc.unframed(b"\0\0\0\0\x03abc", b"identity", 9) == b"abc"
    for encoding, packed in ((b"gzip", gzip.compress(b"a" * 500)), (b"deflate", zlib.compress(b"a" * 500))):
        frame = b"\1" + len(packed).to_bytes(4, "big") + packed
        assert grpc.unframed(frame, encoding, 500) == b"a" * 500
        with pytest.raises(BodyTooLarge, match="above 499 bytes once unpacked"):
            grpc.unframed(frame, encoding, 499)


@pytest.mark.parametrize(
    ("body", "encoding", "told"),
    [
        (b"\0\0", b"identity", "a gRPC call of 2 bytes"),
        (b"\0\0\0\0\x03ab", b"identity", "a gRPC message of 3 bytes in 2"),
        (b"\0\0\0\0\x01a\0\0\0\0\x01b", b"identity", "a unary call sends exactly one"),
        (b"\1\0\0\0\x01a", b"identity", "grpc-encoding is 'identity'"),
        (b"\1\0\0\0\x01a", b"snappy", "grpc-encoding is 'snappy'; wanted identity, gzip or deflate"),
        (b"\1\0\0\0\x01a", b"gzip", "the message is not gzip"),
    ],
)
def test_what_is_no_frame(body, encoding, told):
    """Each with what was found."""
    with pytest.raises(InvalidRequest) as error:
        grpc.unframed(body, encoding, 100)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"250m", 0.25), (b"1500u", 0.0015), (b"99999999n", 0.099999999)],
)
def test_timeouts(value, seconds):
    """At most eight digits and a unit."""
    assert grpc.timeout_s(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"5", b"S", b"123456789m", b"-1S", b"1.5S", b"1s"])
def test_broken_timeouts(value):
    """The message names the header and the rule."""
    with pytest.raises(InvalidRequest, match=r"grpc-timeout is .*at most 8 digits and one of H M S m u n"):
        grpc.timeout_s(value)


def test_messages_of_errors_travel_as_ascii():
    """Percent signs and everything beyond ASCII are encoded; spaces and punctuation stay readable."""
    assert grpc.encoded("50 % of é\n") == b"50 %25 of %C3%A9%0A"
    assert grpc.encoded('a "b" [c] {d}: e/f?') == b'a "b" [c] {d}: e/f?'
    assert grpc.decoded(b"50 %25 of %C3%A9") == "50 % of é"
    assert grpc.decoded(b"%zz %C3") == "%zz �"


def test_codes():
    """A reply without grpc-status is judged by its HTTP status, one with nonsense is UNKNOWN."""
    assert grpc.code_of(b"5", 200) is Code.NOT_FOUND
    assert grpc.code_of(b"99", 200) is Code.UNKNOWN
    assert grpc.code_of(None, 503) is Code.UNAVAILABLE
    assert grpc.code_of(None, 302) is Code.UNKNOWN


def test_the_methods_and_their_protocols():
    """Both protocols are in the table, with the paths that their services have; what is unknown is of no method."""
    open_inference, serving = PROTOCOLS["open-inference-grpc"], PROTOCOLS["tensorflow-serving-grpc"]
    assert open_inference.path(METADATA, "x") == "/inference.GRPCInferenceService/ModelMetadata"
    assert serving.path(METADATA, "x") == "/tensorflow.serving.PredictionService/GetModelMetadata"
    assert grpc.rpc_at("/tensorflow.serving.ModelService/HandleReloadConfigRequest") is None
    assert errors_at("/tensorflow.serving.ModelService/HandleReloadConfigRequest") is Errors.STATUS
    assert grpc.spoken_by(("raw", "open-inference-grpc"))
    assert not grpc.spoken_by(("raw", "open-inference"))
