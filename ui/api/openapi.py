"""The OpenAPI document: FastAPI's, in our words, with a tag and a curl line for each call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ui.schemas.openai import OPENAI_PREFIX, OpenAIErrorSchema
from ui.schemas.rest import ErrorSchema

Json = dict[str, Any]

EXAMPLE_ADDRESS = "http://127.0.0.1:7860"
HTTP_METHODS = ("get", "post", "put", "patch", "delete")

TAG_BY_PATH_PREFIX: tuple[tuple[str, str], ...] = (
    ("/api/ask", "Questions"),
    ("/api/search", "Questions"),
    ("/api/passages", "Questions"),
    ("/api/conversations", "Conversations"),
    ("/api/verdicts", "Votes"),
    ("/api/documents", "Documents"),
    ("/api/jobs", "Documents"),
    (OPENAI_PREFIX, "OpenAI"),
    ("/api/version", "Versions"),
    ("/livez", "Health"),
    ("/readyz", "Health"),
    ("/metrics", "Health"),
)
"""The beginning of a path → its tag; other paths are listed under their second word."""

API_DESCRIPTION = (
    'Chat with your documents from a program. Errors are {"error": …}, below /v1 as OpenAI\'s. On this machine nobody needs '
    "a key; from elsewhere a request carries a token: `Authorization: Bearer …`."
)


def customise_openapi(api: FastAPI) -> None:
    """Makes `api.openapi()` return our document, built at the first call, when all handlers are there."""

    def document() -> Json:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api)
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def iterate_operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Yields method, path and operation of every call, in the order in which they were added."""
    for path, methods in document["paths"].items():
        for method in HTTP_METHODS:
            if method in methods:
                yield method, path, methods[method]


def _document(api: FastAPI) -> Json:
    document = get_openapi(title=api.title, version=api.version, description=API_DESCRIPTION, routes=api.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (ErrorSchema, OpenAIErrorSchema):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs", {}), model.__name__: schema}
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which we never send
        schemas.pop(name, None)
    for method, path, operation in iterate_operations(document):
        _in_our_words(operation, path)
        operation["x-codeSamples"] = [
            {"lang": "shell", "label": "curl", "source": curl_example(method, path, operation, schemas)}
        ]
    document["tags"] = [{"name": name} for name in dict.fromkeys(tag_for_path(path) for path in document["paths"])]
    return document


def _in_our_words(operation: Json, path: str) -> None:
    """Takes the summary from the docstring's first paragraph; a refusal is a 400, never FastAPI's 422."""
    summary, _, rest = str(operation.get("description") or operation["summary"]).partition("\n\n")
    operation |= {"summary": " ".join(summary.split()), "description": rest.strip(), "tags": [tag_for_path(path)]}
    responses = operation["responses"]
    if responses.pop("422", None) or "400" not in responses:
        problem = OpenAIErrorSchema if path.startswith(OPENAI_PREFIX) else ErrorSchema
        schema = {"$ref": f"#/components/schemas/{problem.__name__}"}
        responses.setdefault(
            "400", {"description": "Why it was refused", "content": {"application/json": {"schema": schema}}}
        )


def tag_for_path(path: str) -> str:
    """Returns the tag that a call is listed under.

    >>> tag_for_path("/api/ask/stream"), tag_for_path("/api/reports/{report_id}")
    ('Questions', 'Reports')
    """
    tag = next((tag for beginning, tag in TAG_BY_PATH_PREFIX if path.startswith(beginning)), None)
    return tag or path.strip("/").split("/")[-1 if path.count("/") == 1 else 1].capitalize()


# ---- examples


def curl_example(method: str, path: str, operation: Json, schemas: Mapping[str, Json]) -> str:
    """Returns a line for a terminal, with the parameters that the call needs and no others."""
    query_parts = []
    for parameter in operation.get("parameters", ()):
        value = str(
            example_value(
                parameter["schema"] | {key: parameter[key] for key in ("example",) if key in parameter}, schemas
            )
        )
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", quote(value, safe=""))
        elif parameter["in"] == "query" and parameter.get("required"):
            query_parts.append(f"{parameter['name']}={quote(value)}")
    query = f"?{'&'.join(query_parts)}" if query_parts else ""
    address = f"'{EXAMPLE_ADDRESS}{path}{query}'" if query else f"{EXAMPLE_ADDRESS}{path}"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    verb = "" if method == "get" or (method == "post" and body) else f" -X {method.upper()}"
    media_types = list(operation["responses"].get("200", {}).get("content", {}))
    unbuffered = " -N" if media_types == ["text/event-stream"] else ""
    body_option = (
        f" \\\n  --json '{json.dumps(example_value(body['schema'], schemas), ensure_ascii=False)}'" if body else ""
    )
    return f"curl{unbuffered}{verb} {address}{body_option}"


def example_value(schema: Json, schemas: Mapping[str, Json]) -> Any:
    """Returns a value that the schema allows: its example if it has one; of an object the required fields.

    >>> example_value({"type": "object", "required": ["q"], "properties": {"q": {"type": "string"}, "k": {}}}, {})
    {'q': '…'}
    """
    if "$ref" in schema:
        return example_value(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    for key in ("example", "examples", "enum", "const", "default"):
        if key in schema:
            return schema[key][0] if key in ("examples", "enum") else schema[key]
    if "anyOf" in schema:
        return example_value(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_value(schema.get("items", {}), schemas)]
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        return {name: example_value(properties[name], schemas) for name in schema.get("required", ())}
    return {"integer": schema.get("minimum", 1), "number": 0.5, "boolean": True}.get(schema.get("type", ""), "…")
