import dataclasses
from typing import Any

import numpy as np
import pytest

from gruspec.files import Tensor, find_grus


def tensors(**shapes: tuple[int, ...]) -> dict[str, Tensor]:
    def unread() -> np.ndarray[Any, Any]:
        raise AssertionError("finding reads no values")

    return {
        name.replace("__", "."): Tensor(name, shape, np.dtype(np.float32), unread) for name, shape in shapes.items()
    }


def test_a_gru_is_found_whole_and_not_as_one_without_its_biases() -> None:
    found = find_grus(tensors(a__weight_ih=(12, 3), a__weight_hh=(12, 4), a__bias=(12,), a__bias_n=(4,), x=(3,)))
    assert [(gru.path, gru.layouts) for gru in found] == [("a", ("equinox",))]
    assert set(found[0].names) == {"weight_ih", "weight_hh", "bias", "bias_n"}
    found = find_grus(tensors(a__weight_ih=(12, 3), a__weight_hh=(12, 4)))
    assert found[0].layout == "torch-cell"


def test_what_has_the_names_and_not_the_shapes_is_no_gru() -> None:
    lstm = tensors(a__weight_ih_l0=(16, 3), a__weight_hh_l0=(16, 4), a__bias_ih_l0=(16,), a__bias_hh_l0=(16,))
    assert not find_grus(lstm)


@pytest.mark.parametrize(("length", "found"), [(3 * 4 * (5 + 4 + 2), True), (3 * 4 * (5 + 4 + 2) + 1, False)])
def test_one_vector_is_found_though_it_does_not_tell_its_sizes(*, length: int, found: bool) -> None:
    grus = find_grus(tensors(rnn__params=(length,)))
    assert bool(grus) == found
    if grus:
        assert (grus[0].layout, grus[0].sizes) == ("cudnn", None)


def test_tensors_of_several_dtypes_are_found_so_that_they_can_be_refused() -> None:
    mixed = tensors(a__kernel=(2, 9), a__recurrent_kernel=(3, 9), b__kernel=(2, 9), b__recurrent_kernel=(3, 9))
    mixed["b.kernel"] = dataclasses.replace(mixed["b.kernel"], dtype=np.dtype(np.float16))
    assert [(gru.path, gru.dtype) for gru in find_grus(mixed)] == [("a", "float32"), ("b", "float16 and float32")]


def test_one_vector_alone_is_no_certain_gru() -> None:
    found = find_grus(tensors(a__kernel=(2, 9), a__recurrent_kernel=(3, 9), params=(12,)))
    assert [(gru.path, gru.is_certain) for gru in found] == [("a", True), ("", False)]


def test_grus_stand_in_the_order_of_the_file() -> None:
    found = find_grus(
        tensors(b__kernel=(2, 9), z=(1,), a__kernel=(2, 9), a__recurrent_kernel=(3, 9), b__recurrent_kernel=(3, 9))
    )
    assert [gru.path for gru in found] == ["b", "a"]
