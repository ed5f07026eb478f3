"""The house rules that a tool can check: which way imports point, what they cost, and what may never be written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag", "eval", "retriever_training", "ui")
MOST_FILES = 15
"""Python files in a folder, `__init__.py` not counted."""

HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "gradio",
    "chromadb",
    "langchain",
    "langchain_core",
    "sklearn",
    "pandas",
    "datasets",
    "accelerate",
    "scipy.stats",
    "scipy.sparse",
    "ir_measures",
}
HEAVY_AT_THE_TOP = {
    "rag/generation/chat/transformers_chat.py": "langchain_core: its one class is a chat model, imported if the settings name it",
    "ui/server/uvicorn_server.py": "gradio: the pages are mounted there; `serve` imports it when it starts",
    "ui/web/*": "gradio: the pages are made of its components; `serve` imports them when it starts",
}
"""Files, or folders with everything below them, that may import heavy libraries at the top, and why."""
OUTER_DOORS = {
    "eval/answers/ask_questions.py": "a question that fails is a row with an error; the others are measured",
    "rag/generation/chat/streaming.py": "each provider's package raises errors of its own; they become quoted sentences",
    "rag/generation/chat/providers.py": "the same; they become a SettingsError",
    "rag/generation/chat/local_weights.py": "a failure to read weights in the background is logged, and raised on use",
    "rag/generation/chat/transformers_chat.py": "a failure in the generating thread is raised where the answer is read",
    "ui/api/sse.py": "the status of a stream is sent already: the client gets a sentence, the log the traceback",
    "ui/background/ingest_queue.py": "the thread that runs ingests: one that fails does not keep the next one from running",
    "ui/background/refresh_loop.py": "takes in promotions: the version before goes on answering, with a traceback in the log",
    "ui/background/startup.py": "hands whatever went wrong to everyone who asks for the application",
    "ui/web/components/handler_errors.py": "the same, of whatever else is done on a page",
    "ui/web/chat/ask_handlers.py": "a person who asked gets a sentence, the log the traceback",
    "ui/web/insights/page.py": "the same",
    "ui/web/training/negatives_page.py": "the same",
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.fixture(scope="module", autouse=True)
def _syntax_is_let_go() -> Iterator[None]:
    """400,000 nodes, which every garbage collection of the tests after these would look through."""
    yield
    tree.cache_clear()
    nodes.cache_clear()


@cache
def files() -> tuple[Path, ...]:
    return tuple(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All of its syntax, walked once: most rules look at every node of every file."""
    return tuple(ast.walk(tree(file)))


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imported(found: Iterable[ast.AST]) -> Iterator[str]:
    """Every module that import statements name; of `from a import b` also a.b, for b may be a module."""
    for node in found:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports_anywhere(file: Path) -> frozenset[str]:
    return frozenset(imported(nodes(file)))


def run_on_import(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module that run when it is imported; not those for the type checker."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.If) and "TYPE_CHECKING" not in ast.dump(statement.test):
            yield from run_on_import([*statement.body, *statement.orelse])
        if isinstance(statement, ast.Try | ast.With):
            yield from run_on_import(statement.body)


def is_one_of(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


# ---- the tree; which way imports point is said in pyproject.toml, and held by `lint-imports`


def test_no_folder_holds_more_files_than_a_reader_takes_in_at_a_glance() -> None:
    n_files = Counter(place(file.parent) for file in tracked() if file.suffix == ".py" and file.name != "__init__.py")
    assert {folder: n for folder, n in n_files.items() if n > MOST_FILES} == {}


def test_only_the_assembly_and_the_doors_know_the_settings() -> None:
    assert {
        place(file)
        for file in files()
        if "rag.settings" in imports_anywhere(file) and not place(file).startswith("ui/")
    } == {"rag/app/components.py", "rag/app/app.py"}


def test_our_eval_never_takes_the_name_of_pythons() -> None:
    """`import eval` would put a module where everybody expects the built-in function."""
    for file in (*files(), *(ROOT / "tests").rglob("*.py")):
        names = [alias for node in nodes(file) if isinstance(node, ast.Import) for alias in node.names]
        assert not any((alias.asname or alias.name) == "eval" for alias in names), place(file)


# ---- what importing costs


def test_nothing_heavy_is_imported_at_the_top_of_a_module() -> None:
    heavy = {
        place(file)
        for file in files()
        if any(is_one_of(module, HEAVY) for module in imported(list(run_on_import(tree(file).body))))
    }
    unused = [pattern for pattern in HEAVY_AT_THE_TOP if not any(fnmatch(name, pattern) for name in heavy)]
    assert unused == [], "an exemption that nothing needs"
    assert {name for name in heavy if not any(fnmatch(name, pattern) for pattern in HEAVY_AT_THE_TOP)} == set()


def run_here(code: str, cwd: Path) -> str:
    """What a fresh Python prints that runs *code* with our packages on its path."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.dont_write_bytecode = True\n{code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["nightly", "--help"], ["feedback", "import", "--help"]])
def test_help_imports_nothing_heavy(tmp_path, arguments) -> None:
    code = f"""
from ui.cli import app
try:
    app({arguments!r})
except SystemExit as ended:
    assert ended.code == 0, ended.code
print(sorted(name for name in {HEAVY | {"numpy", "fastapi", "sqlalchemy"}!r} if name in sys.modules))
"""
    assert run_here(code, tmp_path).splitlines()[-1] == "[]"


def test_importing_every_module_touches_no_file_network_or_process_of_ours(tmp_path) -> None:
    modules = [
        module_of(file).removesuffix(".__init__")
        for file in files()
        # Alembic runs migrations/; the pages import Gradio, and `python -m ui` is the command itself.
        if not place(file).startswith(("rag/database/migrations/", "ui/web/", "ui/server/uvicorn_server.py"))
        and file.name != "__main__.py"
    ]
    code = f"""
import importlib, os
touched = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        touched.append((event, str(arguments[0])))
    elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename"):
        touched.append((event, str(arguments[0])))
sys.addaudithook(watch)
before = dict(os.environ)
for module in {modules!r}:
    importlib.import_module(module)
print(touched, dict(os.environ) == before)
"""
    assert run_here(code, tmp_path).strip() == "[] True"
    assert list(tmp_path.iterdir()) == []


# ---- what may never be written


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of what it catches; `BaseException` where it names nothing."""
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "") for kind in kinds}


def test_everything_is_caught_only_at_the_outer_doors() -> None:
    found = set()
    for file in files():
        for node in nodes(file):
            everything = isinstance(node, ast.ExceptHandler) and caught(node) & {"Exception", "BaseException"}
            suppressed = isinstance(node, ast.Call) and ast.unparse(node) in {
                "suppress(Exception)",
                "contextlib.suppress(Exception)",
            }
            if everything or suppressed:
                found.add(place(file))
    assert found == set(OUTER_DOORS)


def test_no_code_that_comes_with_a_model_is_ever_trusted() -> None:
    for file in files():
        for node in nodes(file):
            if isinstance(node, ast.keyword) and node.arg in {"trust_remote_code", "allow_pickle"}:
                assert isinstance(node.value, ast.Constant), place(file)
                assert node.value.value is False, place(file)


def test_nothing_is_read_in_a_format_that_runs_code() -> None:
    for file in files():
        assert not {module.split(".")[0] for module in imports_anywhere(file)} & UNSAFE_MODULES, place(file)
        calls = {ast.unparse(node.func) for node in nodes(file) if isinstance(node, ast.Call)}
        assert not calls & {"torch.load", "torch.save", "eval", "exec", "compile", "os.system", "yaml.load"}, place(
            file
        )


def test_every_model_is_opened_without_the_network_or_its_code() -> None:
    """The one call that may ask a model hub is the base's, and there the environment says no unless a person says yes."""
    for file in files():
        for node in nodes(file):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "SentenceTransformer":
                named = {keyword.arg for keyword in node.keywords}
                assert "modules" in named or "trust_remote_code" in named, place(file)
                assert (
                    "modules" in named or "local_files_only" in named or place(file) == "rag/versions/base_model.py"
                ), place(file)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked can't be told from what a build left")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


# Each is written in pieces, so that this file does not find itself.
OF_A_MACHINE = re.compile(
    r"(?<![\w.:/-])/(?:wor" + r"k|roo" + r"t|hom" + r"e/(?!nightjar)\w+|Use" + r"rs)/|/tmp/scr" + "atch"
)
REGISTRIES = (
    "files.python" + "hosted",
    "//pypi" + ".",
    "huggingface" + ".co/",
    "arti" + "factory",
    "trusted" + "-host",
    "//regis" + "try.",
    "index-url " + "http",
    "index-url=" + "http",
    "INDEX=" + "http",
)


def test_no_tracked_file_names_a_folder_of_somebodys_machine_or_a_package_registry() -> None:
    found = []
    for file in tracked():
        text = file.read_bytes().decode("utf-8", "replace")
        found += [f"{place(file)}: {match.group()}" for match in OF_A_MACHINE.finditer(text)]
        found += [f"{place(file)}: {host}" for host in REGISTRIES if host in text]
        found += [place(file)] * (str(ROOT) in text)
    assert found == []


@pytest.mark.parametrize(
    "text", ["see /wor" + "k/shared/x", "'/roo" + "t/.cache'", "/hom" + "e/ada/notes", "/Use" + "rs/ada"]
)
def test_the_search_for_folders_of_a_machine_finds_them(text) -> None:
    assert OF_A_MACHINE.search(text)


@pytest.mark.parametrize(
    "text", ["homework/root/", "https://example.org/home/page", "sqlite:////data/nightjar.db", "app.py/work"]
)
def test_the_search_for_folders_of_a_machine_leaves_others_alone(text) -> None:
    assert not OF_A_MACHINE.search(text)


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = {"util", "utils", "common", "helper", "helpers", "manager", "misc", "base", "core", "tools"}
    assert [place(file) for file in files() if file.stem in vague] == []
