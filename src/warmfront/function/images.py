"""Grey images as the input of a model.

What lives here: their spellings. What must not: numpy, which a model of ten weighted sums does without; one that has it
makes an array of the pixels without a copy: `numpy.frombuffer(pixels, numpy.float32)`.
"""

from array import array
from typing import Any

import msgspec

from warmfront.errors import InvalidRequest
from warmfront.function.inputs import Tensor, TensorSpec, check_size, flat, is_json

_WHITE = 255
_SCALED = tuple(level / _WHITE for level in range(_WHITE + 1))


class _Body(msgspec.Struct, frozen=True):
    image: list[Any]


class Image:
    """A grey image of fixed size; the model gets its pixels row by row as `array("f")`, 0 (black) to 1 (white).

    Whole levels go from 0 to 255: a body of one byte per pixel, a body `{"image": [...]}` in JSON, a tensor UINT8.
    Floats go from 0 to 1: a tensor FP32 and `instances`, as the signatures of TensorFlow models have it.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shapes = ([height * width], [height, width])
        self._pixels = height * width
        self.spec = TensorSpec("image", "FP32", (-1, self._pixels))

    def of_body(self, data: bytes, content_type: str) -> "array[float]":
        """One byte per pixel, or JSON with the member `image`."""
        if is_json(content_type):
            try:
                levels = msgspec.json.decode(data, type=_Body).image
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise InvalidRequest(
                    f'the JSON input is no image ({error}); send {{"image": [{self._pixels} numbers, 0 to 255]}}'
                ) from error
            return self._image(levels, _WHITE)
        if len(data) != self._pixels:
            raise InvalidRequest(
                f"the image has {len(data)} bytes; send {self._pixels}, one per pixel, as application/octet-stream"
            )
        return array("f", [_SCALED[level] for level in data])

    def of_tensor(self, tensor: Tensor) -> list["array[float]"]:
        """UINT8 or FP32, [n, pixels] or [n, height, width]."""
        white = {"UINT8": _WHITE, "FP32": 1}.get(tensor.datatype)
        if white is None:
            raise InvalidRequest(
                f"input {tensor.name!r} has datatype {tensor.datatype!r}; "
                "this model takes UINT8 (0 to 255) or FP32 (0 to 1)"
            )
        if tensor.shape[1:] not in self._shapes or tensor.shape[0] < 1:
            wanted = " or ".join(str(["n", *shape]).replace("'", "") for shape in self._shapes)
            raise InvalidRequest(f"input {tensor.name!r} has shape {tensor.shape}; this model takes {wanted}")
        elements = flat(tensor.data)
        check_size(tensor, elements)
        size = self._pixels
        return [self._image(elements[i : i + size], white) for i in range(0, len(elements), size)]

    def of_json(self, value: Any) -> "array[float]":
        """A list of numbers from 0 to 1, flat or by rows."""
        if not isinstance(value, list):
            raise InvalidRequest(f"found {type(value).__name__} as an image; send {self._pixels} numbers from 0 to 1")
        return self._image(value, 1)

    def _image(self, levels: list[Any], white: int) -> "array[float]":
        try:
            numbers = msgspec.convert(flat(levels), list[float])
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"an image holds numbers only: {error}") from error
        if len(numbers) != self._pixels:
            raise InvalidRequest(f"the image has {len(numbers)} pixels; send {self._pixels}")
        if not 0 <= (least := min(numbers)) <= (most := max(numbers)) <= white:
            hint = "" if white == _WHITE else ": levels up to 255 go as bytes, JSON or UINT8"
            found = least if least < 0 else most
            raise InvalidRequest(f"the image has a pixel of {found:g}; here they go from 0 to {white}{hint}")
        return array("f", numbers if white == 1 else [number / white for number in numbers])
