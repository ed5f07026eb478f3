"""The names of models in the interface's description: none is that of a record of ours."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from ui.schemas import openai, rest

MODELS = [
    model
    for module in (rest, openai)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_model_is_called_a_schema_a_request_or_a_response(model: type[BaseModel]) -> None:
    assert model.__name__.endswith(("Schema", "Request", "Response"))


def test_there_are_models() -> None:
    assert len(MODELS) > 20
