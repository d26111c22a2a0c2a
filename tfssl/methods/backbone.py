"""The field ``backbone`` of methods: a name of their own, or a network of others."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from pydantic_core import core_schema

LIBRARIES = ("applications", "keras_hub")
"""Where networks are found by name, see :func:`tfssl.backbones.adapter.trunk`."""


@dataclasses.dataclass(frozen=True)
class Given:
    """A network that was given as a Python object: of it, config.yaml and worker processes get the name only."""

    given: Any

    def __str__(self):
        function = getattr(self.given, "func", self.given)  # of a functools.partial
        name = getattr(self.given, "name", None) or getattr(function, "__name__", type(self.given).__name__)
        return f"object:{name}"

    def __reduce__(self):
        return str, (str(self),)


@dataclasses.dataclass(frozen=True)
class Backbone:
    """Makes a field take ``own`` names, ``"applications:NAME"``, ``"keras_hub:NAME"``, ``{"applications": NAME, option:
    value}``, a ``keras.Model``, or a function of ``input_shape`` that gives one: ``Annotated[Any, Backbone("small")]``.
    """

    own: tuple[str, ...]

    def __init__(self, *own: str):
        object.__setattr__(self, "own", own)

    def __get_pydantic_core_schema__(self, source, handler):
        shown = core_schema.plain_serializer_function_ser_schema(
            lambda value: str(value) if isinstance(value, Given) else value
        )
        return core_schema.no_info_plain_validator_function(self.check, serialization=shown)

    def check(self, value):
        """The value, objects in :class:`Given`; ValueError for what is no backbone."""
        if isinstance(value, str):
            library, colon, network = value.partition(":")
            if value in self.own or (network and library in (*LIBRARIES, "object")):
                return value
            close = [] if colon else difflib.get_close_matches(value, self.own, n=1)
            raise ValueError(f"did you mean {close[0]!r}?" if close else self._known())
        if isinstance(value, dict):
            if len(set(LIBRARIES) & set(value)) == 1 and all(isinstance(key, str) for key in value):
                return value
            raise ValueError(self._known())
        if isinstance(value, Given) or callable(value):
            return value if isinstance(value, Given) else Given(value)
        raise ValueError(self._known())

    def _known(self):
        return (
            f"must be one of {', '.join(self.own)}, applications:NAME, keras_hub:NAME or, in Python, a keras.Model or "
            "a function of input_shape that gives one"
        )
