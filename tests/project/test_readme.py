"""README and guides say what is true: the tree, commands, flags, links, settings and Python examples are checked.

Run as a program it writes the table of settings in docs/settings.md anew.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rag.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *GUIDES]
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"
PATH = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|md|yaml|toml)|[\w-]+/|Dockerfile|Makefile|LICENSE")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ---- the tree


def tree_of(readme: str) -> Iterator[Path]:
    """The paths in the block below "The tree"; the indentation says what lies in what."""
    block = readme.split("## The tree", 1)[1].split("```", 2)[1]
    folders: dict[int, Path] = {}
    for line in block.strip("\n").splitlines():
        indent = len(line) - len(line.lstrip())
        parent = folders.get(indent - 2, Path())
        for word in line.split():
            if not PATH.fullmatch(word):
                break
            if word.endswith("/"):
                folders[indent] = parent / word
            yield parent / word


def test_the_readme_tree_is_the_packages():
    paths = list(tree_of((ROOT / "README.md").read_text("utf-8")))
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
    packages = {
        init.parent.relative_to(ROOT)
        for top in ("rag", "eval", "retriever_training", "ui")
        for init in (ROOT / top).rglob("__init__.py")
    }
    assert packages - set(paths) == set()


# ---- commands


def commands_in(text: str) -> Iterator[str]:
    """Every `nightjar …` in code, whatever stands before it on the line."""
    text = text.replace("…/nightjar", "nightjar")
    fenced = "\n".join(block for language, block in FENCE.findall(text) if language in ("", "sh", "bash"))
    inline = re.findall(r"`([^`]+)`", FENCE.sub("", text))
    for code in [*fenced.splitlines(), *inline]:
        found = re.search(r"(?:^|[\s/=])nightjar (?=[a-z-])", " ".join(code.split()))
        if found:
            yield " ".join(code.split())[found.end() :]


def words_of(command: str) -> list[str]:
    """The words up to a comment, a pipe, a redirection, or the explanation that two blanks part from it."""
    words = shlex.split(command, comments=True)
    for index, word in enumerate(words):
        if word in {"|", "&&", "||", ";", ">", ">>", "<"}:
            return words[:index]
    return words


def problem_with(command: str, root: click.Command) -> str | None:
    """What a command line names that does not exist; None where all of it does."""
    current: click.Command = root
    words = words_of(command)
    while words:
        word = words.pop(0)
        if word.startswith("-") and len(word) > 1:
            flag, _, value = word.partition("=")
            option = next(
                (parameter for parameter in current.params if flag in [*parameter.opts, *parameter.secondary_opts]),
                None,
            )
            if option is None:
                return f"{current.name} has no {flag}"
            if not value and not getattr(option, "is_flag", False) and words:
                words.pop(0)
        elif isinstance(current, click.Group) or hasattr(current, "commands"):
            if word not in current.commands:  # type: ignore[attr-defined]
                return f"{current.name} has no command {word!r}"
            current = current.commands[word]  # type: ignore[attr-defined]
    return None


@pytest.fixture(scope="module")
def root() -> click.Command:
    from ui.cli import app

    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_flag_named_exists(page: Path, root: click.Command):
    commands = list(commands_in(page.read_text("utf-8")))
    assert [(command, said) for command in commands if (said := problem_with(command, root))] == []


def test_a_command_that_does_not_exist_is_noticed(root: click.Command):
    assert problem_with('ask "What?" --json', root) is None
    assert problem_with("feedback import verdicts.jsonl", root) is None
    assert problem_with("feedback explode", root) == "feedback has no command 'explode'"
    assert problem_with("ask --loudly", root) == "ask has no --loudly"


def test_every_command_is_named_in_a_guide(root: click.Command):
    """What nobody can read about does not exist for most people."""
    named = {words_of(command)[0] for page in PAGES for command in commands_in(page.read_text("utf-8"))}
    assert set(root.commands) - named == set()  # type: ignore[attr-defined]


def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        code = page.read_text("utf-8")
        named = re.findall(r"`make (\w+)[^`]*`", code) + re.findall(r"^make (\w+)", code, re.MULTILINE)
        assert set(named) <= targets, page.name


# ---- links


def anchor_of(heading: str) -> str:
    """As GitHub makes them.

    >>> anchor_of("What's new?")
    'whats-new'
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path):
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert not target.startswith(("http:", "https:")), "the guides work without a network"
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {anchor_of(heading) for heading in headings}, target


# ---- settings


def settings_table() -> str:
    """All settings as a Markdown table, from the model itself."""
    rows = [("setting", "default", "allowed", "what it does"), ("---",) * 4]
    rows += [(f"`{name}`", *_cells(field)) for name, field in _fields("", Settings)]
    return "\n".join(f"| {' | '.join(row)} |".replace("  ", " ") for row in rows)


def _fields(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(f"{prefix}{name}.", field.annotation)
        else:
            yield f"{prefix}{name}", field


def _cells(field: FieldInfo) -> tuple[str, str, str]:
    default = field.default
    shown = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    shown = shown.lower() if default is None or isinstance(default, bool) else shown
    return f"`{shown}`", _allowed(field), field.description or ""


def _allowed(field: FieldInfo) -> str:
    words: Any = getattr(field.annotation, "__args__", ())
    if words and all(isinstance(word, str) for word in words):
        return ", ".join(words)
    if field.annotation is bool:
        return "true, false"
    signs = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}
    bounds = {name: getattr(rule, name) for rule in field.metadata for name in signs if hasattr(rule, name)}
    return " ".join(signs[name].format(bounds[name]) for name in signs if bounds.get(name) is not None)


def test_the_table_of_settings_is_what_the_settings_are():
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    table = text.split(BEGIN, 1)[1].split(END, 1)[0].strip()
    assert table == settings_table(), "run: PYTHONPATH=. python tests/project/test_readme.py"


def test_every_setting_named_in_a_guide_exists():
    sections = {name.split(".")[0] for name, _ in _fields("", Settings)}
    known = {name for name, _ in _fields("", Settings)}
    for page in PAGES:
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`", page.read_text("utf-8")):
            section, _, ending = name.partition(".")
            if section in sections and ending not in {"py", "md", "toml", "yaml", "db"}:
                assert name in known, f"{page.name}: {name}"


def test_every_variable_named_in_a_guide_is_read(monkeypatch: pytest.MonkeyPatch):
    known = {"NIGHTJAR__" + name.upper().replace(".", "__") for name, _ in _fields("", Settings)}
    for page in PAGES:
        for variable in re.findall(r"NIGHTJAR__\w*[A-Z]\b", page.read_text("utf-8")):
            assert variable in known or variable == "NIGHTJAR__SECTION__KEY", f"{page.name}: {variable}"


def test_the_settings_file_of_the_guide_is_accepted(tmp_path: Path):
    from rag.settings import load_settings

    text = (ROOT / "docs/settings.md").read_text("utf-8")
    files = [block for language, block in FENCE.findall(text) if language == "toml"]
    assert files
    for index, block in enumerate(files):
        (tmp_path / f"{index}.toml").write_text(block, "utf-8")
        load_settings(tmp_path, tmp_path / f"{index}.toml")


# ---- examples in Python


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_python_example_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    examples = [block for language, block in FENCE.findall(page.read_text("utf-8")) if language == "python"]
    if not examples:
        return
    monkeypatch.setenv("NIGHTJAR_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    _fill_library(tmp_path)
    for example in examples:
        exec(compile(example, name_of(page), "exec"), {})
    assert capsys.readouterr().out.strip()


def _fill_library(folder: Path) -> None:
    from rag.app.app import open_app
    from rag.ingestion.ingest import ingest_paths
    from rag.settings import load_settings
    from rag.splitting.splitter import SplittingRules

    (folder / "grant.md").write_text("# Grants\n\nSmall firms can get the grant.\n", "utf-8")
    app = open_app(load_settings())
    ingest_paths(app.library, [folder / "grant.md"], splitting=SplittingRules(90))
    app.encode_missing()
    app.close()


def write_settings_table(page: Path = ROOT / "docs/settings.md") -> None:
    """Puts the table between its marks."""
    text = page.read_text("utf-8")
    before, after = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n\n{settings_table()}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    write_settings_table()
