"""The demo library: documentation of installed Python packages, in which a docstring's own summary is the question.

Source files are parsed, never imported: quick, and nothing of them runs. A passage is a docstring without its examples,
references and cross-references; its question is its summary sentence, which is taken out of it. If a second
paragraph (or the notes) opens with a sentence of its own, that one is taken out too and asks for the same passage: so
some questions of the test ask for passages that training saw under another question, and most do not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from rag.errors import TooLittleDataError

Split = Literal["train", "dev", "test"]

PACKAGES = ("numpy", "scipy", "sklearn", "pandas")
"""Dependencies of Nightjar with long docstrings; one that is not installed is left out."""

MAX_PASSAGES = 3_500  # with 128 tokens each, about a minute of encoding on two cores
MIN_PASSAGES = 3_000
MAX_WORDS = 120  # of a passage; the encoder reads 128 tokens
MIN_WORDS = 20  # left after the questions were taken out
QUESTION_WORDS = range(4, 41)

_SKIPPED = frozenset({"tests", "test", "testing", "_vendor", "externals", "conftest.py"})
_SECTIONS_LEFT_OUT = frozenset({"See Also", "References", "Examples", "Example", "Methods", "Raises", "Warnings"})
_SECTIONS_OF_VALUES = frozenset({"Parameters", "Returns", "Yields", "Attributes", "Other Parameters"})
_RULE = re.compile(r"^\s*[-=~]{3,}\s*$")
_ROLE = re.compile(r":[a-z:]+:`~?([^`<]*)[^`]*`")
_SENTENCE_END = re.compile(r"(?<![ .][A-Za-z])(?<!e\.g)(?<!i\.e)(?<!etc)[.!?](?=\s+[A-Z`*\"(])")


@dataclass(frozen=True, slots=True)
class DocstringPassage:
    """One docstring as a passage with its questions."""

    name: str
    """Dotted, as defined: `numpy.lib._function_base_impl.percentile`."""
    text: str
    questions: tuple[str, ...]
    """One or two."""

    @property
    def title(self) -> str:
        """The module or class, without the name itself, which often repeats the question: `numpy.lib`.

        With the whole name as the title the base alone reached an nDCG@10 of .702 on the test questions, so: .600.
        """
        public = [part for part in self.name.split(".") if not part.startswith("_")]
        return ".".join(public[:-1][:2])


@dataclass(frozen=True, slots=True)
class CorpusCounts:
    """How many passages were written, and how many questions for each split."""

    n_passages: int
    n_questions: dict[Split, int]


def write_docstring_corpus(
    folder: Path,
    max_passages: int = MAX_PASSAGES,
    min_passages: int = MIN_PASSAGES,
    packages: Sequence[str] = PACKAGES,
) -> CorpusCounts:
    """Writes the demo library as a BEIR folder; the same installation writes the same bytes. Takes ten seconds.

    Raises:
        TooLittleDataError: fewer than *min_passages* were found.
    """
    chosen = choose_passages(documented(packages), max_passages)
    if len(chosen) < min_passages:
        raise TooLittleDataError(
            f"{len(chosen)} documented functions were found, the demo needs {min_passages}: "
            "install Nightjar again with all its dependencies, among them pandas and scikit-learn"
        )
    temporary = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "qrels").mkdir(parents=True)
    written = _write(temporary, chosen)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return written


def documented(packages: Iterable[str] = PACKAGES) -> Iterator[DocstringPassage]:
    """Every public class, method and function of *packages* whose docstring makes a passage."""
    for package in packages:
        root = _root(package)
        if root is None:
            continue
        for file in sorted(root.rglob("*.py")):
            path = file.relative_to(root.parent)
            if not _SKIPPED & set(path.parts):
                parts = [part for part in path.with_suffix("").parts if part != "__init__"]
                yield from docstrings_of_file(file, ".".join(parts))


def docstrings_of_file(file: Path, module: str) -> Iterator[DocstringPassage]:
    """Yields the docstrings of one source file, which defines *module*; a file that today's Python can't read gives
    nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escape sequences in other people's source
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            return
    names: set[str] = set()
    for name, docstring in _docstrings(tree, module):
        apart = split_docstring(docstring)
        if apart and name not in names:  # an overload, or the setter of a property, comes second
            names.add(name)
            yield DocstringPassage(name, *apart)


def choose_passages(found: Iterable[DocstringPassage], max_passages: int) -> list[DocstringPassage]:
    """At most *max_passages*, drawn by the hash of their names, none twice, each question pointing at one of them.

    Questions that two docstrings share, and those that are word for word in some passage, are dropped, and so are
    passages that no question is left for.
    """
    by_text: dict[str, DocstringPassage] = {}
    for module in found:
        by_text.setdefault(_plain(module.text), module)
    askers = Counter(_plain(question) for entry in by_text.values() for question in entry.questions)
    stated = _Stated(by_text)
    kept = []
    for entry in by_text.values():
        questions = tuple(q for q in entry.questions if askers[_plain(q)] == 1 and _plain(q) not in stated)
        if questions:
            kept.append(DocstringPassage(entry.name, entry.text, questions))
    return sorted(kept, key=lambda one: _hash(one.name))[:max_passages]


def split_of(question_id: str) -> Split:
    """The split a question belongs to, by the hash of its id: 60 % train, 10 % dev, 30 % test.

    >>> split_of("numpy.percentile#1")
    'test'
    """
    part = int(_hash(question_id)[:8], 16) % 10
    return "train" if part < 6 else "dev" if part < 7 else "test"


def split_docstring(docstring: str) -> tuple[str, tuple[str, ...]] | None:
    """The passage and its one or two questions; None if no summary, or too little next to it, is left.

    >>> split_docstring("Return the mean of values. " + "Empty input is refused. " * 5)[1]
    ('Return the mean of values.',)
    """
    paragraphs = _paragraphs(docstring)
    if not paragraphs or "%(" in docstring:  # a template that is filled in at import
        return None
    summary, rest = _first_sentence(paragraphs[0])
    if not _is_question(summary):
        return None
    questions, left = [summary], [rest, *paragraphs[1:]]
    if len(paragraphs) > 1 and paragraphs[1].split("\n")[0] not in _SECTIONS_OF_VALUES:
        second, rest = _first_sentence(paragraphs[1].removeprefix("Notes\n"))
        if _is_question(second) and rest:
            questions.append(second)
            left[1] = rest
    text = _cut("\n".join(part for part in left if part))
    return (text, tuple(questions)) if len(text.split()) >= MIN_WORDS else None


def _root(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)  # finds a top-level package without running it
    return Path(spec.origin).parent if spec and spec.origin else None


def _docstrings(node: ast.Module | ast.ClassDef, above: str) -> Iterator[tuple[str, str]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            name = f"{above}.{child.name}"
            if docstring := ast.get_docstring(child, clean=False):
                yield name, inspect.cleandoc(docstring)
            if isinstance(child, ast.ClassDef):
                yield from _docstrings(child, name)


def _paragraphs(docstring: str) -> list[str]:
    """The docstring in paragraphs of plain text, without doctests, directives and the sections that only point away.

    A section keeps its name as the first line of its first paragraph: "Returns", "out : ndarray …".
    """
    lines = [*docstring.splitlines(), ""]
    paragraphs: list[list[str]] = [[]]
    skipping = in_doctest = False
    for line, below in pairwise(lines):
        if line.strip() and _RULE.match(below):  # a section's heading
            skipping = line.strip() in _SECTIONS_LEFT_OUT
            paragraphs.append([])
        in_doctest = bool(line.strip()) and (in_doctest or line.lstrip().startswith(">>>"))
        if not line.strip():
            paragraphs.append([])
        elif not (skipping or in_doctest or _RULE.match(line) or line.lstrip().startswith(".. ")):
            paragraphs[-1].append(_readable(line))
    return ["\n".join(paragraph) for paragraph in paragraphs if paragraph]


def _readable(line: str) -> str:
    """A line without reStructuredText: roles, backticks and escapes.

    >>> _readable("    See :func:`~numpy.mean` or ``axis``.")
    'See numpy.mean or axis.'
    """
    return _ROLE.sub(r"\1", line).replace("`", "").replace("\\", "").strip()


def _first_sentence(paragraph: str) -> tuple[str, str]:
    """The first sentence in one line, and what follows it.

    >>> _first_sentence("Sort a list, e.g. in\\nplace. Stable.")
    ('Sort a list, e.g. in place.', 'Stable.')
    """
    line = " ".join(paragraph.split())
    end = _SENTENCE_END.search(line)
    return (line[: end.end()], line[end.end() :].strip()) if end else (line, "")


def _is_question(sentence: str) -> bool:
    """Whether a sentence is prose, long enough to ask for something and short enough to be asked."""
    words = sentence.split()
    letters = sum(word.strip(".,:;()").isalpha() for word in words)
    return len(words) in QUESTION_WORDS and letters >= 0.7 * len(words) and not sentence.endswith(":")


def _cut(text: str) -> str:
    """The lines up to the one that reaches MAX_WORDS."""
    kept: list[str] = []
    n_words = 0
    for line in text.splitlines():
        if n_words >= MAX_WORDS:
            break
        kept.append(line)
        n_words += len(line.split())
    return "\n".join(kept)


class _Stated:
    """Which sentences are word for word in some text; looks only if their first four words are known."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts_by_start: dict[str, set[str]] = {}
        for text in texts:
            words = text.split()
            for start in range(len(words) - 3):
                self._texts_by_start.setdefault(" ".join(words[start : start + 4]), set()).add(text)

    def __contains__(self, sentence: str) -> bool:
        start = " ".join(sentence.split()[:4])
        return any(sentence in text for text in self._texts_by_start.get(start, ()))


def _write(folder: Path, chosen: list[DocstringPassage]) -> CorpusCounts:
    corpus, queries = [], []
    qrels: dict[Split, list[str]] = {"train": [], "dev": [], "test": []}
    for entry in chosen:
        corpus.append({"_id": entry.name, "title": entry.title, "text": entry.text})
        for number, question in enumerate(entry.questions, start=1):
            question_id = f"{entry.name}#{number}"
            queries.append({"_id": question_id, "text": question})
            qrels[split_of(question_id)].append(f"{question_id}\t{entry.name}\t1\n")
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8", newline="\n")
    for split, judged in qrels.items():
        text = "query-id\tcorpus-id\tscore\n" + "".join(judged)
        (folder / "qrels" / f"{split}.tsv").write_text(text, "utf-8", newline="\n")
    return CorpusCounts(len(corpus), {split: len(judged) for split, judged in qrels.items()})


def _plain(text: str) -> str:
    """Lower-case words only, so that punctuation and line ends hide no repetition.

    >>> _plain("Sort a list,\\nin `place`.")
    'sort a list in place'
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
