"""Attributes of a layer that another object holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any


class FromCell:
    """A read-only attribute that the layer's ``cell`` holds.

    Raises
    ------
    AttributeError
        If it is assigned to.
    """

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, _owner: type) -> Any:
        return self if layer is None else getattr(layer.cell, self.name)

    def __set__(self, _layer: Any, value: object) -> None:
        raise AttributeError(f"{self.name}={value!r}: read-only; build a layer with this argument instead")


class Switch:
    """A flag of the layer's specification, which may be assigned to between calls.

    Raises
    ------
    SpecTypeError
        If it is assigned anything but True or False.
    """

    def __set_name__(self, _owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, _owner: type) -> Any:
        return self if layer is None else getattr(layer.spec, self.name)

    def __set__(self, layer: Any, value: object) -> None:
        layer.spec = replace(layer.spec, **{self.name: value})
