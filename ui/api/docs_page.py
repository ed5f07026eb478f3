"""The OpenAPI document as a page: made on the server, without a script, and nothing of it from another host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from ui.api.openapi import iterate_operations
from ui.auth.current_user import current_user
from ui.middleware.plain_page import escape_text, render_plain_page

Json = dict[str, Any]
_CODE = re.compile(r"`([^`]+)`")


def add_docs_page(api: FastAPI) -> None:
    """Adds the page."""

    @api.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs(request: Request) -> str:
        current_user(request).require_role("reader")
        return render_api_docs(api.openapi())


def render_api_docs(document: Json) -> str:
    """The whole page."""
    tags = [tag["name"] for tag in document["tags"]]
    info, shapes = document["info"], document["components"]["schemas"]
    contents = "".join(f'<li><a href="#{_id(name)}">{escape_text(name)}</a></li>' for name in [*tags, "Shapes"])
    return render_plain_page(
        "API",
        f"<h1>Nightjar’s API</h1><p>{_prose(info['description'])}</p>"
        f'<p class="quiet">Release {escape_text(info["version"])} · <a href="/api/openapi.json">OpenAPI document</a></p>'
        f'<ul class="contents">{contents}</ul>'
        + "".join(_section(name, document) for name in tags)
        + f'<h2 id="{_id("Shapes")}">Shapes</h2>'
        + "".join(_shape(name, shapes[name]) for name in sorted(shapes)),
    )


def _section(tag: str, document: Json) -> str:
    calls = [
        _call(method, path, operation)
        for method, path, operation in iterate_operations(document)
        if tag in operation["tags"]
    ]
    return f'<h2 id="{_id(tag)}">{escape_text(tag)}</h2>{"".join(calls)}'


def _call(method: str, path: str, operation: Json) -> str:
    head = (
        f'<summary><span class="verb">{method.upper()}</span><h3><code class="path">{escape_text(path)}</code></h3>'
        f'<span class="quiet">{_prose(operation["summary"])}</span></summary>'
    )
    parameters = {
        parameter["name"]: (parameter["schema"] | parameter, bool(parameter.get("required")))
        for parameter in operation.get("parameters", ())
    }
    body = operation.get("requestBody", {}).get("content", {})
    parts = [
        *(f"<p>{_prose(part)}</p>" for part in operation["description"].split("\n\n") if part),
        *(
            f'<pre tabindex="0"><code>{escape_text(sample["source"])}</code></pre>'
            for sample in operation["x-codeSamples"]
        ),
        *([f'<p class="quiet">Parameters</p>{_fields(parameters)}'] if parameters else []),
        *(f'<p class="quiet">Body: {_type(content["schema"])}</p>' for content in body.values()),
        *(_response(status, response) for status, response in sorted(operation["responses"].items())),
    ]
    return f"<details>{head}<div>{''.join(parts)}</div></details>"


def _response(status: str, response: Json) -> str:
    told = []
    for media_type, content in response.get("content", {}).items():
        said = (
            f'<p class="quiet">{escape_text(status)}, {escape_text(media_type)}: {_type(content.get("schema", {}))}</p>'
        )
        example = (
            f'<pre tabindex="0"><code>{escape_text(content["example"].strip())}</code></pre>'
            if "example" in content
            else ""
        )
        told.append(said + example)
    return "".join(told) or f'<p class="quiet">{escape_text(status)}: {_prose(response.get("description", ""))}</p>'


def _shape(name: str, schema: Json) -> str:
    needed = set(schema.get("required", ()))
    fields = {key: (field_schema, key in needed) for key, field_schema in schema.get("properties", {}).items()}
    said = f'<span class="quiet">{_prose(_first(schema))}</span>'
    head = f'<h3><code class="path">{escape_text(name)}</code></h3>{said}'
    return f'<section id="{_id(name)}">{head}{_fields(fields)}</section>'


def _first(schema: Json) -> str:
    return str(schema.get("description", "")).partition("\n\n")[0]


def _fields(fields: Mapping[str, tuple[Json, bool]]) -> str:
    rows = "".join(
        f"<dt><code>{escape_text(name)}</code></dt><dd>{_type(schema)}{'' if needed else ', optional'}{_bounds(schema)}"
        f"{'. ' + _prose(schema['description']) if schema.get('description') else ''}</dd>"
        for name, (schema, needed) in fields.items()
    )
    return f"<dl>{rows}</dl>"


def _type(schema: Json) -> str:
    """The type in a few words; a shape's name leads to it."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f'<a href="#{_id(name)}">{escape_text(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(alternative) for alternative in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(
            f"<code>{escape_text(str(value))}</code>" for value in schema.get("enum", [schema.get("const")])
        )
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape_text(str(schema.get("type", "anything")))


def _bounds(schema: Json) -> str:
    words = {"minimum": "from {}", "maximum": "to {}", "maxLength": "at most {} characters", "default": "by default {}"}
    inner = [schema, *schema.get("anyOf", ())]
    found = {key: next((part[key] for part in inner if part.get(key) not in (None, [], "", {})), None) for key in words}
    said = [
        words[key].format(f"{value:,}" if type(value) is int else value)
        for key, value in found.items()
        if value is not None
    ]
    return escape_text(f" ({', '.join(said)})") if said else ""


def _prose(text: str) -> str:
    """Words between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape_text(" ".join(text.split())))


def _id(name: str) -> str:
    return f"_{re.sub(r'[^A-Za-z0-9]+', '-', name)}"
