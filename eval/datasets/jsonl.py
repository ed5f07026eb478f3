"""Files of JSON objects, one per line: reads a line, or says where and why it is not an object."""

from __future__ import annotations

import json
from typing import Any

from rag.errors import UsageError


def parse_json_object(text: str, place: str, example: str) -> dict[str, Any]:
    """The object that a line holds. *place* and *example* are for the message: "golden.jsonl:3", and what is right.

    Raises:
        UsageError: it holds none.
    """
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{place} is not JSON ({error}): write one object a line") from error
    if not isinstance(line, dict):
        raise UsageError(f"{place} is {type(line).__name__}, not an object: write {example}")
    return line
