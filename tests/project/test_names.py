"""Names and shapes that a tool can check: loop variables, class names, records, calls and what training may know."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag", "eval", "retriever_training", "ui")
SAYS_NOTHING = {"one", "some", "other", "each", "said", "told", "found", "place"}
"""Loop variables that leave a reader to look up what they hold."""
MOST_POSITIONAL_FIELDS = 4
"""Of a dataclass; one with more fields is keyword-only."""
MOST_POSITIONAL_ARGUMENTS = 5


@cache
def trees(folders: tuple[str, ...] = PACKAGES) -> tuple[tuple[str, ast.Module], ...]:
    return tuple(
        (file.relative_to(ROOT).as_posix(), ast.parse(file.read_text("utf-8")))
        for folder in folders
        for file in sorted((ROOT / folder).rglob("*.py"))
    )


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees(folders or PACKAGES):
        for node in ast.walk(tree):
            yield name, node


def loop_variables(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that for loops and comprehensions bind, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            for name in ast.walk(node.target):
                if isinstance(name, ast.Name):
                    yield name.lineno, name.id


def test_a_loop_variable_says_what_it_holds() -> None:
    assert [
        f"{name}:{line} {variable}"
        for name, tree in trees((*PACKAGES, "tests"))
        for line, variable in loop_variables(tree)
        if variable in SAYS_NOTHING
    ] == []


def test_the_search_for_loop_variables_finds_them() -> None:
    code = "for one in x: pass\n[y for a, told in z]\nasync def f():\n    async for place in w: pass"
    assert [variable for _, variable in loop_variables(ast.parse(code))] == ["one", "place", "a", "told"]


def test_no_public_class_name_stands_for_two_things() -> None:
    files = defaultdict(list)
    for name, node in nodes():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            files[node.name].append(name)
    assert {name: places for name, places in files.items() if len(places) > 1} == {}


def is_positional_dataclass(node: ast.ClassDef) -> bool:
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        if ast.unparse(call.func if call else decorator).split(".")[-1] == "dataclass":
            return not (call and any(keyword.arg == "kw_only" for keyword in call.keywords))
    return False


def test_records_of_more_than_four_fields_are_keyword_only() -> None:
    wrong = []
    for name, node in nodes():
        if isinstance(node, ast.ClassDef) and is_positional_dataclass(node):
            fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
            taken = [field for field in fields if "init=False" not in ast.unparse(field)]
            if len(taken) > MOST_POSITIONAL_FIELDS:
                wrong.append(f"{name}:{node.lineno} {node.name}")
    assert wrong == []


def test_no_call_has_six_positional_arguments() -> None:
    assert [
        f"{name}:{node.lineno} {ast.unparse(node.func)}"
        for name, node in nodes()
        if isinstance(node, ast.Call)
        and len(node.args) > MOST_POSITIONAL_ARGUMENTS
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
        and not takes_any_number(node)
    ] == []


def takes_any_number(call: ast.Call) -> bool:
    """Whether the function takes a list of equals: columns of a table, parts of a path, conditions of a query."""
    name = ast.unparse(call.func).split(".")[-1]
    return name in {
        "Table",
        "create_table",
        "and_",
        "or_",
        "select",
        "join",
        "Index",
        "union",
        "with_columns",
        "group_by",
        "coalesce",
        "max",
        "min",
        "zip",
        "chain",
    }


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_the_formatter_is_never_switched_off(folder: str) -> None:
    switch = "# fmt" + ":"
    assert [
        str(file.relative_to(ROOT)) for file in (ROOT / folder).rglob("*.py") if switch in file.read_text("utf-8")
    ] == []


def test_training_and_measuring_never_take_the_whole_application() -> None:
    wrong = []
    for name, node in nodes("eval", "retriever_training"):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rag.app") and not is_bench(name):
            wrong += [f"{name}:{node.lineno} {alias.name}" for alias in node.names if alias.name == "App"]
    assert wrong == []


def is_bench(name: str) -> bool:
    """Benchmarks open applications, as a user does."""
    return "/bench/" in name


def test_nobody_but_the_assembly_and_the_doors_reads_the_settings() -> None:
    assert [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, node in nodes("rag", "eval", "retriever_training")
        if isinstance(node, ast.Attribute)
        and node.attr == "settings"
        and not name.startswith("rag/app/")
        and not is_bench(name)
    ] == []
