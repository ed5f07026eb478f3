"""The house rules that a tool can check: which way imports point, what they cost, and what may never be written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rag", "eval", "retriever_training", "ui")
"""Each may import itself and those before it."""

LEVELS = (
    ("records", "errors", "one_at_a_time", "batches", "state_files"),
    ("settings", "settings_sections", "database", "app_tables", "migrations.env", "version_files", "tokens",
     "encoder", "cross_encoder", "accounts", "credentials", "roster", "quick_encoder", "recent_vectors", "base_model",
     "model_card", "locks", "blocks", "sheet", "packed", "fusion"),
    ("parse", "parse_child", "formats", "format_text", "format_markdown", "format_rst", "format_html", "format_docx",
     "format_pptx", "format_xlsx", "format_pdf", "format_json", "format_eml", "format_epub", "format_odt", "format_rtf",
     "pdf_layout", "pdf_pictures", "recognise", "unpack", "archive", "passages", "recut", "beir", "write_documents", "library",
     "steps", "find_files", "read_files", "store_files", "ingest", "jobs", "record_steps", "encode_beside", "remove_documents",
     "vectors", "question_vectors", "exact", "chroma_client", "index_folder", "index_check", "index", "serving",
     "plain_words", "languages", "word_counts", "lexical_files", "lexical", "words", "sentences", "facts", "measures",
     "short_answers", "disagree", "declining", "day_counts", "signing", "feedback_rows", "feedback", "feedback_files",
     "forgetting", "registry", "install_base", "until_tonight", "filters", "shelves", "shingles", "telling", "duplicates",
     "around", "kept_answers", "conversations", "tallies", "catalogue", "gaps",
     "version_space",
     "insights", "comparisons", "version_numbers",
     ),
    ("rerank", "retrieve", "extract", "prompt", "open_weights", "transformers_model", "chat_provider", "circuit",
      "try_again", "chat_writing", "chat_model", "generate", "cite", "marks", "followup", "rewrite"),
    ("answer",),
    ("parts",),
    ("live",),
    ("assemble",),
)  # fmt: skip
"""Inside rag: each module may import those of its own level and of the levels above it here, without a circle."""

HEAVY = {"torch", "transformers", "sentence_transformers", "gradio", "chromadb", "langchain", "langchain_core", "sklearn",
         "pandas", "datasets", "accelerate", "scipy.stats", "scipy.sparse", "ir_measures"}  # fmt: skip
HEAVY_AT_THE_TOP = {
    "rag/transformers_model.py": "langchain_core: its one class is a LangChain chat model; imported where the settings name it",
    "ui/server.py": "gradio: the page is mounted there; `serve` imports it when it starts",
    "ui/web/answer_votes.py": "gradio: as of ui/web/chat.py",
    "ui/web/asking.py": "gradio: the same",
    "ui/web/cards.py": "gradio: the same",
    "ui/web/chat_parts.py": "gradio: the same",
    "ui/web/chat_programs.py": "gradio: the same",
    "ui/web/chat.py": "gradio: the page is made of its parts; `serve` imports it when it starts",
    "ui/web/compare.py": "gradio: the same",
    "ui/web/conversation_list.py": "gradio: the same",
    "ui/web/acting.py": "gradio: the same",
    "ui/web/documents.py": "gradio: the same",
    "ui/web/dropped_files.py": "gradio: the same",
    "ui/web/evidence.py": "gradio: the same",
    "ui/web/insights.py": "gradio: the same",
    "ui/web/library_add.py": "gradio: the same",
    "ui/web/library_list.py": "gradio: the same",
    "ui/web/library_preview.py": "gradio: the same",
    "ui/web/library_remove.py": "gradio: the same",
    "ui/web/look.py": "gradio: the same",
    "ui/web/negatives.py": "gradio: the same",
    "ui/web/pager.py": "gradio: the same",
    "ui/web/pages.py": "gradio: the same",
    "ui/web/right_passage.py": "gradio: the same",
    "ui/web/people.py": "gradio: the same",
    "ui/web/people_acting.py": "gradio: the same",
    "ui/web/people_add.py": "gradio: the same",
    "ui/web/people_leave.py": "gradio: the same",
    "ui/web/people_list.py": "gradio: the same",
    "ui/web/people_one.py": "gradio: the same",
    "ui/web/person.py": "gradio: the same",
    "ui/web/training.py": "gradio: the same",
    "ui/web/training_night.py": "gradio: the same",
    "ui/web/training_reviews.py": "gradio: the same",
    "ui/web/training_versions.py": "gradio: the same",
}
OUTER_DOORS = {
    "eval/asking.py": "a question whose answering fails is a row with an error; the others are measured all the same",
    "rag/chat_writing.py": "each provider's package raises errors of its own; they become quoted sentences",
    "rag/chat_provider.py": "the same; they become a SettingsError",
    "rag/open_weights.py": "whatever fails while weights are read in the background is logged and told to who waits for them",
    "rag/transformers_model.py": "whatever fails in the thread that generates is raised where the answer is read",
    "ui/event_stream.py": "the status of a stream is sent already: the client gets a sentence, the log the traceback",
    "ui/ingests.py": "the thread that runs ingests: one that fails does not keep the next one from running",
    "ui/keeping.py": "the thread that takes in promotions: what answered goes on answering, with a traceback in the log",
    "ui/opening.py": "hands whatever went wrong to everyone who asks for the application",
    "ui/web/attempt.py": "the same, of whatever else is done on a page",
    "ui/web/asking.py": "a person who asked gets a sentence, the log the traceback",
    "ui/web/insights.py": "the same",
    "ui/web/negatives.py": "the same",
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


# ---- which way imports point


def test_packages_import_only_those_before_them() -> None:
    wrong = []
    for file in files():
        own = PACKAGES.index(file.relative_to(ROOT).parts[0])
        wrong += [
            f"{place(file)} imports {module}"
            for module in imports_anywhere(file)
            if is_one_of(module, set(PACKAGES[own + 1 :]))
        ]
    assert wrong == []


def test_every_module_of_rag_has_its_place_in_the_order() -> None:
    there = {module_of(file).removeprefix("rag.") for file in files() if file.is_relative_to(ROOT / "rag")}
    there = {
        module for module in there if not module.endswith("__init__") and not module.startswith("migrations.versions")
    }
    assert there == {module for level in LEVELS for module in level}


def rag_imports() -> dict[str, set[str]]:
    level_of = {module: number for number, level in enumerate(LEVELS) for module in level}
    return {
        module: {name.removeprefix("rag.") for name in imports_anywhere(ROOT / f"rag/{module.replace('.', '/')}.py")}
        & set(level_of)
        for module in level_of
    }


def test_inside_rag_no_module_imports_one_that_is_further_out() -> None:
    level_of = {module: number for number, level in enumerate(LEVELS) for module in level}
    assert [
        f"{module} imports {other}"
        for module, others in rag_imports().items()
        for other in sorted(others)
        if level_of[other] > level_of[module]
    ] == []


def test_no_module_of_rag_imports_itself_in_a_circle() -> None:
    left = rag_imports()
    while free := [module for module, others in left.items() if not others & set(left)]:
        for module in free:
            del left[module]
    assert left == {}


def test_only_the_assembly_and_the_doors_know_the_settings() -> None:
    assert {
        place(file)
        for file in files()
        if "rag.settings" in imports_anywhere(file) and not place(file).startswith("ui/")
    } == {"rag/parts.py", "rag/assemble.py"}


def test_our_eval_never_takes_the_name_of_pythons() -> None:
    """`import eval` would put a module where everybody expects the built-in function."""
    for file in (*files(), *(ROOT / "tests").glob("*.py")):
        names = [alias for node in nodes(file) if isinstance(node, ast.Import) for alias in node.names]
        assert not any((alias.asname or alias.name) == "eval" for alias in names), place(file)


# ---- what importing costs


def test_nothing_heavy_is_imported_at_the_top_of_a_module() -> None:
    found = {
        place(file): sorted(
            module for module in imported(list(run_on_import(tree(file).body))) if is_one_of(module, HEAVY)
        )
        for file in files()
    }
    assert {name for name, modules in found.items() if modules} == set(HEAVY_AT_THE_TOP), found


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
        if not place(file).startswith(("rag/migrations/", "ui/web/", "ui/server.py")) and file.name != "__main__.py"
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
                assert "modules" in named or "local_files_only" in named or place(file) == "rag/base_model.py", place(
                    file
                )


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked can't be told from what a build left")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


# Each is written in pieces, so that this file does not find itself.
OF_A_MACHINE = re.compile(
    r"(?<![\w.:/-])/(?:wor" + r"k|roo" + r"t|hom" + r"e/(?!nightjar)\w+|Use" + r"rs)/|/tmp/scr" + "atch"
)
REGISTRIES = ("files.python" + "hosted", "//pypi" + ".", "huggingface" + ".co/", "arti" + "factory", "trusted" + "-host",
              "//regis" + "try.", "index-url " + "http", "index-url=" + "http", "INDEX=" + "http")  # fmt: skip


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
