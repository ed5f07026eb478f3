"""No template of a page lets what somebody wrote become a tag, an attribute or a command of Markdown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ui.html.environment import TEMPLATES
from ui.html.fragments import render_fragment

FRAGMENTS = sorted(
    path.relative_to(TEMPLATES).as_posix()
    for folder in ("chat", "components", "library", "people")
    for path in (TEMPLATES / folder).glob("*.j2")
)
HOSTILE = "\"><img src=x onerror=alert(1)><script>'**[x](javascript:y)"


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_template_marks_nothing_as_safe_and_quotes_every_attribute(name: str) -> None:
    source = (TEMPLATES / name).read_text("utf-8")
    assert "|safe" not in source.replace(" ", "") and "autoescape" not in source
    assert re.findall(r"=\s*\{\{", source) == [], "an attribute without quotes"


def test_hostile_names_stay_text_in_a_table() -> None:
    shown = render_fragment("people/table.html.j2", columns=[HOSTILE], rows=[[HOSTILE]], when_empty="")
    assert "<img" not in shown and "<script" not in shown and "javascript:" not in shown
    assert "<td>&#34;&#62;&#60;img" in shown


def test_an_absent_value_is_an_error_and_not_an_empty_place() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render_fragment("people/table.html.j2", columns=[], rows=[])


def test_templates_are_where_they_are_looked_for() -> None:
    assert Path(TEMPLATES).is_dir() and len(FRAGMENTS) >= 10
