"""Surgery on protobuf bytes, judged by protobuf itself: Triton's generated messages and one made by descriptor."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as v2

from warmfront.errors import InvalidRequest
from warmfront.protocols import grpc, grpc_fields

INFER = grpc.rpc_at("/inference.GRPCInferenceService/ModelInfer")
PREDICT = grpc.rpc_at("/tensorflow.serving.PredictionService/Predict")
MULTI = grpc.rpc_at("/tensorflow.serving.PredictionService/MultiInference")
assert None not in (INFER, PREDICT, MULTI)

F = descriptor_pb2.FieldDescriptorProto


def _messages():
    """PredictRequest and MultiInferenceRequest as far as names go, with the field numbers of TensorFlow Serving's
    model.proto, predict.proto and inference.proto.
    """
    file = descriptor_pb2.FileDescriptorProto(name="shapes.proto", package="shapes", syntax="proto3")

    def add(name, *fields):
        made = file.message_type.add(name=name)
        for number, (label, kind, of) in fields:
            field = made.field.add(name=f"f{number}", number=number, label=label, type=kind)
            if of:
                field.type_name = f".shapes.{of}"

    one, many = F.LABEL_OPTIONAL, F.LABEL_REPEATED
    add("Spec", (1, (one, F.TYPE_STRING, "")), (2, (one, F.TYPE_INT64, "")), (3, (one, F.TYPE_STRING, "")))
    add("Predict", (1, (one, F.TYPE_MESSAGE, "Spec")), (2, (many, F.TYPE_BYTES, "")), (3, (many, F.TYPE_STRING, "")))
    add("Task", (1, (one, F.TYPE_MESSAGE, "Spec")), (2, (one, F.TYPE_STRING, "")))
    add("Multi", (1, (many, F.TYPE_MESSAGE, "Task")), (2, (one, F.TYPE_BYTES, "")))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shapes.{name}"))
        for name in ("Predict", "Multi")
    }


SHAPES = _messages()
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200)
blobs = st.binary(max_size=300)


def unframed(frame: bytes) -> bytes:
    return bytes(grpc.unframed(frame, b"identity", 1 << 20))


@given(
    old=names, new=names, id_=st.text(max_size=20), raw=st.lists(blobs, max_size=3), shape=st.lists(st.integers(0, 9))
)
def test_model_infer_keeps_everything_but_the_name(old, new, id_, raw, shape):
    """What protobuf reads from the result is the request with another name, and nothing else differs."""
    request = v2.ModelInferRequest(model_name=old, id=id_, raw_input_contents=raw)
    request.inputs.add(name="image", datatype="FP32", shape=shape)
    request.parameters["deadlinems"].string_param = "20"
    message = request.SerializeToString()
    assert grpc.model_name(INFER, message) == old
    found = v2.ModelInferRequest.FromString(unframed(grpc.renamed(INFER, message, new)))
    request.model_name = new
    assert found == request


@given(old=names, new=names, version=st.integers(-(2**63), 2**63 - 1), tensors=st.lists(blobs, max_size=3))
def test_predict_names_its_model_in_a_message_of_its_own(old, new, version, tensors):
    """The length of model_spec follows the name, however long either is."""
    request = SHAPES["Predict"](f2=tensors, f3=["probabilities"])
    request.f1.f1, request.f1.f2, request.f1.f3 = old, version, "serving_default"
    message = request.SerializeToString()
    assert grpc.model_name(PREDICT, message) == old
    found = SHAPES["Predict"].FromString(unframed(grpc.renamed(PREDICT, message, new)))
    request.f1.f1 = new
    assert found == request


@given(old=names, new=names, count=st.integers(1, 4), data=blobs)
def test_every_task_of_multi_inference_is_renamed(old, new, count, data):
    """All name the same model, so all get the variant's name."""
    request = SHAPES["Multi"](f2=data)
    for i in range(count):
        task = request.f1.add(f2=f"tensorflow/serving/{i}")
        task.f1.f1 = old
    message = request.SerializeToString()
    assert grpc.model_name(MULTI, message) == old
    found = SHAPES["Multi"].FromString(unframed(grpc.renamed(MULTI, message, new)))
    for task in request.f1:
        task.f1.f1 = new
    assert found == request


@given(message=st.binary(max_size=60))
def test_any_bytes_are_renamed_or_refused(message):
    """Never another exception, never an endless loop."""
    try:
        name = grpc.model_name(MULTI, message)
        grpc.renamed(MULTI, message, "x")
    except InvalidRequest:
        return
    assert name


@given(message=st.binary(max_size=60))
def test_what_is_accepted_has_the_fields_that_protobuf_sees(message):
    """A name is found where protobuf finds the last of one, and refused where it differs from another."""
    try:
        request = v2.ModelReadyRequest.FromString(message)
    except DecodeError:
        return
    found = grpc_fields.texts(message, (1,))
    assert (found[-1].decode() if found else "") == request.name


def test_fields_that_nobody_knows_stay():
    """Unknown numbers of every wire type pass byte for byte, in their place."""
    unknown = b"\xf8\x07\x01" + b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4) + b"\xfa\x07\x02hi"
    unknown += b"\xfb\x07\x0a\x01x\x13\x14\xfc\x07"  # a group with a field of number 1 and another group in it
    message = unknown + b"\x0a\x03old" + unknown
    assert b"".join(grpc_fields.replaced(message, (1,), b"longer")) == unknown + b"\x0a\x06longer" + unknown


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b"", "ModelInfer names no model; put the task's name there"),
        (b"\x0a\x00", "names no model"),
        (b"\x0a\x01a\x0a\x01b", "names several models (a, b); name one task"),
        (b"\x0a\x01\xff", "in something else than UTF-8"),
        (b"\x0a\x05ab", "a field of 5 bytes at byte 2 ends behind it"),
        (b"\x0a", "a number that does not end at byte 1"),
        (b"\xff" * 11, "a number that does not end at byte 10"),
        (b"\x0e\x01a", "wire type 6 at byte 1"),
        (b"\x0c", "wire type 4 at byte 1"),
        (b"\x0b\x14", "group 2 ends at byte 2 without a begin"),
        (b"\x0b\x08\x01", "a number that does not end at byte 3"),
        (b"\x02\x01a", "field number 0 at byte 1"),
    ],
)
def test_what_names_no_model_is_told_why(message, told):
    """Each with what was found."""
    with pytest.raises(InvalidRequest) as error:
        grpc.model_name(INFER, message)
    assert told in str(error.value)


def test_parameters_of_every_kind():
    """As the objective needs them: text, whole and broken numbers, truth."""
    request = v2.ModelInferRequest(model_name="t")
    request.parameters["deadlinems"].int64_param = 250
    request.parameters["minaccuracy"].double_param = 0.5
    request.parameters["onmiss"].string_param = "reject"
    request.parameters["less"].int64_param = -3
    request.parameters["yes"].bool_param = True
    request.parameters["many"].uint64_param = 2**64 - 1
    found = grpc_fields.parameters(request.SerializeToString(), grpc.PARAMETERS)
    assert found == {
        "deadlinems": 250, "minaccuracy": 0.5, "onmiss": "reject", "less": -3, "yes": True, "many": 2**64 - 1
    }  # fmt: skip


def test_what_the_selector_says_itself():
    """Read by Triton's classes: truth, the server, and a request that only names a model."""
    assert v2.ServerLiveResponse.FromString(unframed(grpc.truth(True))).live
    assert not v2.ModelReadyResponse.FromString(unframed(grpc.truth(False))).ready
    server = v2.ServerMetadataResponse.FromString(unframed(grpc.server(name="warmfront", version="1.2")))
    assert (server.name, server.version, list(server.extensions)) == ("warmfront", "1.2", [])
    ready = grpc.rpc_at("/inference.GRPCInferenceService/ModelReady")
    assert v2.ModelReadyRequest.FromString(unframed(grpc.asked(ready, "digits"))).name == "digits"
    assert SHAPES["Predict"].FromString(unframed(grpc.asked(PREDICT, "digits"))).f1.f1 == "digits"


def test_the_status_of_a_model():
    """GetModelStatusResponse: version 1 is AVAILABLE (30), or END (50) with UNAVAILABLE (14) and the reason."""
    assert unframed(grpc.status(version=1)) == b"\x0a\x06\x08\x01\x10\x1e\x1a\x00"
    assert unframed(grpc.status(version=1, trouble="no")) == b"\x0a\x0c\x08\x01\x10\x32\x1a\x06\x08\x0e\x12\x02no"
