"""The OpenAPI document as a page: rendered on the server, without scripts, and with nothing from another host."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from ui.api.openapi import iterate_operations
from ui.auth.current_user import current_user
from ui.html.environment import inline_style, render_html

Json = dict[str, Any]
Field = tuple[str, Json, bool]
"""The name of a parameter or property, its schema, and whether it is required."""

_CODE = re.compile(r"`([^`]+)`")
_BOUND_PHRASES = {
    "minimum": "from {}",
    "maximum": "to {}",
    "maxLength": "at most {} characters",
    "default": "by default {}",
}


def add_docs_page(api: FastAPI) -> None:
    """Adds the page."""

    @api.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs(request: Request) -> str:
        current_user(request).require_role("reader")
        return render_api_docs(api.openapi())


def render_api_docs(document: Json) -> str:
    """Renders the whole page."""
    sections: dict[str, list[tuple[str, str, Json]]] = {tag["name"]: [] for tag in document["tags"]}
    for method, path, operation in iterate_operations(document):
        for tag in operation["tags"]:
            sections[tag].append((method, path, operation))
    return render_html(
        "api/docs.html.j2",
        title="API",
        style=inline_style("plain.css"),
        info=document["info"],
        sections=sections,
        schemas=document["components"]["schemas"],
        anchor=_anchor,
        bounds=_bounds,
        parameter_fields=_parameter_fields,
        property_fields=_property_fields,
        prose_parts=_prose_parts,
    )


def _parameter_fields(operation: Json) -> list[Field]:
    return [
        (parameter["name"], parameter["schema"] | parameter, bool(parameter.get("required")))
        for parameter in operation["parameters"]
    ]


def _property_fields(schema: Json) -> list[Field]:
    required = set(schema.get("required", ()))
    return [(name, field, name in required) for name, field in schema.get("properties", {}).items()]


def _prose_parts(text: str) -> list[str]:
    """Splits a text at its backticks: every second part is code.

    >>> _prose_parts("Send `question`,  please.")
    ['Send ', 'question', ', please.']
    """
    return _CODE.split(" ".join(text.split()))


def _bounds(schema: Json) -> str:
    """Returns the limits and the default of a value in brackets, or nothing.

    >>> _bounds({"minimum": 1, "anyOf": [{"maximum": 5000}]})
    ' (from 1, to 5,000)'
    """
    alternatives = [schema, *schema.get("anyOf", ())]
    phrases = []
    for key, phrase in _BOUND_PHRASES.items():
        value = next((part[key] for part in alternatives if part.get(key) not in (None, [], "", {})), None)
        if value is not None:
            phrases.append(phrase.format(f"{value:,}" if type(value) is int else value))
    return f" ({', '.join(phrases)})" if phrases else ""


def _anchor(name: str) -> str:
    return f"_{re.sub(r'[^A-Za-z0-9]+', '-', name)}"
