"""What a message says is valid: in words, for every parameter of every plugin."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator, model_validator

from bench.errors import SpecError
from bench.plugins import datasets, encoders, methods, models
from bench.registry import Registry
from bench.valid import Refused, first_refused, valid_instead


@pytest.mark.parametrize(
    ("annotation", "given", "said"),
    [
        (int, "x", "a whole number."),
        (Annotated[int, Field(ge=1)], 0, "a whole number from 1 on."),
        (Annotated[int, Field(ge=4, le=8)], 9, "a whole number from 4 to 8."),
        (Annotated[int, Field(ge=32, multiple_of=16)], 40, "a whole number, at least 32 and a multiple of 16."),
        (Annotated[float, Field(ge=0, lt=1)], 1, "a number, at least 0 and below 1."),
        (Annotated[float, Field(gt=0, le=8)], 9, "a number, above 0 and at most 8."),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "a finite number."),
        (bool, "maybe", "true or false."),
        (bool, "ture", "true or false. Did you mean true?"),
        (str, 2024, "a text, such as '2024'."),
        (str, ["a"], "a text."),
        (list[str], 3, "a list."),
        (dict[str, int], 3, "a mapping."),
        (Literal["temi", "kmeans"], "kmean", "temi or kmeans. Did you mean kmeans?"),
        (Literal[28, 64, 128], 32, "28, 64 or 128."),
        (Annotated[int, Field(ge=2)] | Literal["estimate"] | None, "x", "a whole number from 2 on, or estimate."),
    ],
)
def test_every_kind_of_value_has_its_words(annotation: Any, given: Any, said: str) -> None:
    adapter = TypeAdapter(annotation)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(given)
    assert valid_instead(caught.value.errors(), adapter.json_schema()) == said


class Small(BaseModel):
    """A model with rules of its own."""

    sizes: list[Annotated[int, Field(ge=2)]] = []
    name: str = ""

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > 3:
            raise ValueError("it has three letters.")
        return value

    @model_validator(mode="after")
    def _both(self) -> Small:
        if self.name == "no":
            raise ValueError("No is no name")
        return self


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"sizes": [2, 1]}, Refused("sizes", 1, "a whole number from 2 on.")),
        ({"name": "long"}, Refused("name", "long", "it has three letters.")),
        ({"name": "no"}, Refused("", {"name": "no"}, "no is no name.")),
    ],
)
def test_a_rule_that_no_schema_tells_keeps_its_own_words(fields: dict[str, Any], refused: Refused) -> None:
    with pytest.raises(ValidationError) as caught:
        Small.model_validate(fields)
    assert first_refused(caught.value, Small.model_json_schema()) == refused


@pytest.mark.integration
def test_every_parameter_of_every_plugin_says_what_is_valid() -> None:
    kinds: list[Registry[Any]] = [methods, datasets, encoders, models]
    for entry in chain.from_iterable(kinds):
        for param in entry.params.values():
            with pytest.raises(SpecError) as caught:
                param.validate(object(), entry.name)
            assert "nput should" not in str(caught.value), (entry.name, param.name)
