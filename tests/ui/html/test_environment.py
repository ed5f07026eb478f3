"""Templates of pages: whatever a person, a document or a program wrote stays text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from jinja2 import UndefinedError

from rag.accounts.accounts import Account
from rag.accounts.sessions_and_tokens import AccessToken
from rag.records import Passage
from ui.api.docs_page import render_api_docs
from ui.api.routes.passages import render_passage
from ui.auth.account_pages import account_page, refused_page, sign_in_page, sign_out_page
from ui.auth.authenticate import Authenticated
from ui.html.environment import TEMPLATES, html_environment, render_html

HOSTILE = """javascript:alert(1)//"'><script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}"""
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
PARTS = {"auth/layout", "auth/macros", "api/layout"}
"""Templates that the others extend or import."""


def hostile_account() -> Authenticated:
    account = Account(name=HOSTILE, role="reader", created_at=NOON, is_locked=False, has_password=True)
    return Authenticated(account, "session")


def hostile_token() -> AccessToken:
    return AccessToken(token_id=HOSTILE, name=HOSTILE, label=HOSTILE, created_at=NOON, used_at=NOON, is_revoked=False)


def hostile_passage() -> Passage:
    texts = {field.name: HOSTILE for field in dataclasses.fields(Passage) if "str" in field.type}
    return Passage(**texts, start=0, end=9, page=3)


def hostile_document() -> dict:
    """An OpenAPI document in which everything that is text for a reader is hostile."""
    types = [
        {"type": HOSTILE, "description": HOSTILE, "default": HOSTILE},
        {"enum": [HOSTILE]},
        {"const": HOSTILE},
        {"$ref": f"#/components/schemas/{HOSTILE}"},
        {"anyOf": [{"type": HOSTILE}, {"type": "array", "items": {"type": HOSTILE}}]},
    ]
    properties = {f"{n}{HOSTILE}": schema for n, schema in enumerate(types)}
    answers = {
        "200": {"content": {HOSTILE: {"schema": types[0], "example": HOSTILE}}},
        "400": {"description": f"`{HOSTILE}`"},
    }
    operation = {
        "tags": [HOSTILE],
        "summary": HOSTILE,
        "description": f"`{HOSTILE}`\n\n{HOSTILE}",
        "x-codeSamples": [{"source": HOSTILE}],
        "parameters": [{"name": HOSTILE, "schema": types[0], "description": HOSTILE}],
        "requestBody": {"content": {"application/json": {"schema": types[3]}}},
        "responses": answers,
    }
    return {
        "tags": [{"name": HOSTILE}],
        "info": {"description": HOSTILE, "version": HOSTILE},
        "paths": {HOSTILE: {"get": operation}},
        "components": {"schemas": {HOSTILE: {"description": HOSTILE, "properties": properties}}},
    }


PAGES: dict[str, Callable[[], str]] = {
    "auth/sign_in": lambda: page_text(sign_in_page(HOSTILE, HOSTILE, name=HOSTILE, error=HOSTILE, notice=HOSTILE)),
    "auth/sign_out": lambda: page_text(sign_out_page(HOSTILE)),
    "auth/refused": lambda: page_text(refused_page(HOSTILE)),
    "auth/account": lambda: page_text(
        account_page(
            hostile_account(), HOSTILE, [hostile_token()], notice=HOSTILE, error=HOSTILE, new_token=HOSTILE, status=400
        )
    ),
    "api/passage": lambda: render_passage(hostile_passage()),
    "api/docs": lambda: render_api_docs(hostile_document()),
}


def page_text(response) -> str:
    return response.body.decode()


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def active_parts(page: str) -> list[str]:
    """What of a page runs, or loads something, or leads to a script."""
    parts = []
    for tag, attributes in Elements(page).elements:
        if tag in {"script", "img", "iframe", "object", "embed", "base"}:
            parts.append(tag)
        for name, value in attributes.items():
            leads_out = name in {"href", "src", "action", "formaction"} and re.match(r"\s*javascript:", value or "")
            if name.startswith("on") or name in {"style", "srcdoc"} or leads_out:
                parts.append(f"{tag} {name}={value}")
    return parts


def templates() -> dict[str, str]:
    """The name of each template, without its endings, and its source."""
    return {
        file.relative_to(TEMPLATES).as_posix().removesuffix(".html.j2"): file.read_text("utf-8")
        for file in sorted(TEMPLATES.rglob("*.j2"))
    }


@pytest.mark.parametrize("name", PAGES)
def test_hostile_values_stay_text(name: str) -> None:
    page = PAGES[name]()
    assert active_parts(page) == []
    assert "49" not in page  # a value is never itself a template


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"auth/sign_out"}))
def test_hostile_values_are_shown_as_they_are(name: str) -> None:
    text = Elements(PAGES[name]()).text
    assert " ".join(HOSTILE.split()) in text


def test_all_templates_of_auth_and_api_are_tried() -> None:
    tried = {name for name in templates() if name.startswith(("auth/", "api/"))}
    assert tried == set(PAGES) | PARTS


def test_an_unescaped_value_would_be_seen() -> None:
    page = f'<a href="{HOSTILE}">{HOSTILE}</a>'
    assert set(active_parts(page)) == {"a href=javascript:alert(1)//", "script", "img", "img onerror=alert(2)"}


@pytest.mark.parametrize("name", templates())
def test_a_template_marks_nothing_as_safe_and_quotes_what_it_fills_in(name: str) -> None:
    source = templates()[name]
    assert not re.search(r"\|\s*safe\b|autoescape|<script|\sstyle=|\son\w+=", source)
    assert not re.search(r"=\s*\{\{", re.sub(r"\{%.*?%\}", "", source, flags=re.DOTALL))


@pytest.mark.parametrize("name", templates())
def test_no_link_begins_with_a_value(name: str) -> None:
    """Escaping does not stop `javascript:`, so a value may only continue an address; a form's action is our own word."""
    begins = re.findall(r"""(?:href|src)=["']\s*\{\{.*?\}\}""", templates()[name])
    assert begins == []


def test_a_name_that_nobody_passed_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="style"):
        render_html("api/layout.html.j2", title="Passage")


def test_markup_is_not_escaped_twice_and_lookalikes_are_escaped() -> None:
    environment = html_environment()
    inner = environment.from_string("<b>{{ name }}</b>").render(name="<i>")
    assert environment.from_string("{{ text }}").render(text=inner) == "&lt;b&gt;&amp;lt;i&amp;gt;&lt;/b&gt;"
    layout = render_html("api/layout.html.j2", title="a", style=render_html("auth/macros.html.j2"))
    assert "&lt;" not in layout


def test_a_number_or_another_object_is_escaped_too() -> None:
    thing = SimpleNamespace(text="<i>")
    assert (
        html_environment().from_string("{{ 5 }} {{ thing }}").render(thing=thing)
        == "5 namespace(text=&#39;&lt;i&gt;&#39;)"
    )
