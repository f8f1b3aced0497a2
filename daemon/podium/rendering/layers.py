"""Variables in layers, without copying: what the caller adds, the execution's own, what every expression sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def layered(below: Mapping[str, Any], variables: Mapping[str, Any], above: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """One mapping: a name of `above` hides the same one of `variables`, that the one of `below`."""
    if type(variables) is dict:
        return {**below, **variables, **above} if above else {**below, **variables}
    return _Layers((above, variables, below) if above else (variables, below))


class _Layers(Mapping[str, Any]):
    """The first layer that has a name gives its value; lazy mappings stay lazy."""

    __slots__ = ("_layers",)

    def __init__(self, layers: tuple[Mapping[str, Any], ...]) -> None:
        self._layers = layers

    def __getitem__(self, key: str) -> Any:
        for layer in self._layers:
            if key in layer:
                return layer[key]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in layer for layer in self._layers)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for layer in reversed(self._layers) for key in layer))

    def __len__(self) -> int:
        return sum(1 for _ in self)
