"""Messages between the runner and an implementation's process."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest

from gruspec.conformance.wire import read_frame, write_frame
from gruspec.errors import IntegrityError


def message() -> bytes:
    stream = BytesIO()
    write_frame(stream, {"kind": "case"}, {"inputs": np.arange(3.0)})
    return stream.getvalue()


def test_message_arrives_as_it_was_sent() -> None:
    frame = read_frame(BytesIO(message()))
    assert frame is not None
    assert frame.header == {"kind": "case"}
    assert frame.arrays["inputs"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("length", [0, 1, 4, 10, 16, 20, 40, len(message()) - 1])
def test_message_that_breaks_off_is_the_end(length: int) -> None:
    assert read_frame(BytesIO(message()[:length])) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Epoch 1/13", "it begins with b'Epoc'"),
        (b"?", "it begins with b'[?]'"),
        (message()[:4] + struct.pack("<IQ", 2**31, 0), "its lengths 2147483648 and 0 are beyond"),
        (message()[:4] + struct.pack("<IQ", 2, 2**40), "its lengths 2 and 1099511627776 are beyond"),
        (message()[:4] + struct.pack("<IQ", 2, 0) + b"{]", "its header is not JSON"),
        (message()[:4] + struct.pack("<IQ", 2, 0) + b"\xff\xfe", "its header is not JSON"),
        (message()[:4] + struct.pack("<IQ", 2, 0) + b"[]", "its header is list"),
        (message()[:4] + struct.pack("<IQ", 2, 3) + b"{}abc", "not a safetensors document"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(IntegrityError, match=reason.replace("[?]", r"\?")):
        read_frame(BytesIO(data))
