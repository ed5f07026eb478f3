"""Reading DPR's retriever files: what becomes a label, what a corpus, and which entry is at fault."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import dpr
from eval.datasets.beir import load_beir
from eval.datasets.dpr import ConversionReport, convert_to_beir, read_entries
from rag.errors import NotFoundError, UsageError
from tests.fixtures.nightjar_command import nightjar


def context(passage_id: str | None, text: str, title: str = "Insects") -> dict[str, Any]:
    """As in biencoder-nq-dev.json."""
    return {"title": title, "text": text, "score": 1000, "title_score": 1, "passage_id": passage_id}


BEES, WASPS, ANTS, MOTHS = (
    context("11", "Honey bees dance."),
    context("12", "Wasps chew wood."),
    context("13", "Ants farm fungi."),
    context("14", "Moths circle lamps."),
)
ENTRIES: list[dict[str, Any]] = [
    {
        "dataset": "nq_dev",
        "question": "who dances",
        "answers": ["bees", "honey bees"],
        "positive_ctxs": [BEES],
        "negative_ctxs": [MOTHS],
        "hard_negative_ctxs": [WASPS, ANTS],
    },
    {
        "dataset": "nq_dev",
        "question": "who chews",
        "answers": [],
        "positive_ctxs": [WASPS, ANTS],
        "negative_ctxs": [],
        "hard_negative_ctxs": [BEES],
    },
]


def a_file(folder: Path, content: object = ENTRIES, name: str = "biencoder.json") -> Path:
    (folder / name).write_text(json.dumps(content), "utf-8")
    return folder / name


def test_positives_get_grade_1_hard_negatives_0_and_easy_ones_only_join_the_corpus(tmp_path: Path) -> None:
    converted = convert_to_beir({"test": a_file(tmp_path)}, tmp_path / "insects")
    assert converted == ConversionReport({"test": 2}, 4, {})
    dataset = load_beir(tmp_path / "insects")
    assert dataset.queries == {"q0": "who dances", "q1": "who chews"}
    assert dataset.qrels == {"test": {"q0": {"11": 1, "12": 0, "13": 0}, "q1": {"12": 1, "13": 1, "11": 0}}}
    assert dataset.answers == {"q0": ("bees", "honey bees")}
    assert sorted(dataset.corpus())[3] == ("14", "Insects", "Moths circle lamps.")
    assert dataset.unknown == ()


def test_several_files_share_one_corpus_and_keep_their_splits(tmp_path: Path) -> None:
    files = {"train": a_file(tmp_path, ENTRIES, "train.json"), "dev": a_file(tmp_path, ENTRIES[:1], "dev.json")}
    assert convert_to_beir(files, tmp_path / "made").n_questions == {"train": 2, "dev": 1}
    dataset = load_beir(tmp_path / "made")
    assert set(dataset.qrels["train"]) == {"q0", "q1"}
    assert set(dataset.qrels["dev"]) == {"q0"}
    assert len(list(dataset.corpus())) == 4


def test_a_question_that_comes_twice_is_one_and_right_beats_wrong(tmp_path: Path) -> None:
    """In the first entry 12 is a hard negative; another entry of the same question calls it right, and 11 wrong."""
    again = {"question": "who dances", "answers": ["wasps"], "positive_ctxs": [WASPS], "hard_negative_ctxs": [BEES]}
    convert_to_beir({"test": a_file(tmp_path, [ENTRIES[0], again])}, tmp_path / "made")
    dataset = load_beir(tmp_path / "made")
    assert dataset.qrels["test"] == {"q0": {"11": 1, "12": 1, "13": 0}}
    assert dataset.answers["q0"] == ("bees", "honey bees", "wasps")


def test_passages_without_an_id_or_with_anothers_are_named_by_their_content(tmp_path: Path) -> None:
    entry = {"question": "who", "positive_ctxs": [{"text": "No id."}, context("11", "One."), context("11", "Two.")]}
    converted = convert_to_beir(
        {"test": a_file(tmp_path, [entry, {**entry, "question": "and who"}])}, tmp_path / "made"
    )
    texts = {passage_id: text for passage_id, _, text in load_beir(tmp_path / "made").corpus()}
    assert sorted(texts.values()) == ["No id.", "One.", "Two."]
    assert texts["11"] == "One."
    assert converted.left_out == {"renamed": 1}
    assert all(set(grades) == set(texts) for grades in load_beir(tmp_path / "made").qrels["test"].values())


def test_the_older_name_of_the_id_is_read_too(tmp_path: Path) -> None:
    entry = {"question": "who", "positive_ctxs": [{"title": "", "text": "Bees.", "psg_id": 7}]}
    convert_to_beir({"test": a_file(tmp_path, [entry])}, tmp_path / "made")
    assert list(load_beir(tmp_path / "made").corpus()) == [("7", "", "Bees.")]


def test_what_can_teach_nothing_is_counted(tmp_path: Path) -> None:
    empty = {"question": "who", "positive_ctxs": [], "hard_negative_ctxs": [context("9", " ", title="")]}
    converted = convert_to_beir({"test": a_file(tmp_path, [ENTRIES[0], empty])}, tmp_path / "made")
    assert converted.left_out == {
        "no_words": 1,
        "no_right_passage": 1,
    }
    assert set(load_beir(tmp_path / "made").split("test")) == {"q0"}


def test_json_lines_and_gzip_are_read_too(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(entry, indent=1) for entry in ENTRIES)
    (tmp_path / "rows.jsonl").write_text(lines, "utf-8")
    with gzip.open(tmp_path / "rows.json.gz", "wt", encoding="utf-8") as stream:
        stream.write(json.dumps(ENTRIES))
    for name in ("rows.jsonl", "rows.json.gz"):
        assert [entry for _, entry in read_entries(tmp_path / name)] == ENTRIES


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_entries_are_the_same_however_the_file_is_cut(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpr, "CHUNK", size)
    tricky = [
        *ENTRIES,
        {"question": 'brackets ] } and "quotes" \\ é \u2028', "answers": ["[", "{,"], "n": [1.5e-3, None]},
    ]
    (tmp_path / "rows.json").write_text(json.dumps(tricky, indent=2), "utf-8")
    assert [entry for _, entry in read_entries(tmp_path / "rows.json")] == tricky


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"question": "a"}, 7]', "entry 2 is a int"),
        ('[{"question": "a"}, {"question": nonsense}, {"question": "b"}]', "entry 2 is not JSON"),
        ('[{"question": "a"}, {"question": "b', "entry 2 is not JSON .the file ends within"),
        ('[{"question": "a"}', "entry 2 is not JSON .the file ends within the list"),
        ('[{"question": "a"},, {"question": "b"}]', "entry 2 is not JSON .parse error: unallowed token"),
        ('{"question": "a"}\n{"question": ', "entry 2 is not JSON .the file ends within"),
        ('[{"answers": ["a"]}]', "entry 1 has no question"),
        ('[{"question": "who", "answers": [1]}]', r"entry 1 \('who'\) has answers"),
        ('[{"question": "who", "positive_ctxs": {"text": ""}}]', "positive_ctxs is a dict"),
        ('[{"question": "who", "hard_negative_ctxs": ["text"]}]', "hard_negative_ctxs 1 is a str"),
        ('[{"question": "who", "positive_ctxs": [{"text": "x"}, {"title": "x"}]}]', 'positive_ctxs 2 has no "text"'),
        ('{"data": []}', "entry 1 has no question"),
    ],
)
def test_the_entry_at_fault_is_named_and_nothing_is_left_behind(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.json").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=said):
        convert_to_beir({"test": tmp_path / "bad.json"}, tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.json"]


def test_a_file_in_other_letters_or_half_a_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('[{"question": "où"}]'.encode("latin-1"))
    (tmp_path / "half.json.gz").write_bytes(gzip.compress(json.dumps(ENTRIES).encode())[:-20])
    (tmp_path / "no.json.gz").write_text("[]", "utf-8")
    for name in ("latin.json", "half.json.gz", "no.json.gz"):
        with pytest.raises(UsageError, match="is it whole, and UTF-8"):
            list(read_entries(tmp_path / name))


def test_an_entry_without_an_end_is_refused_before_the_rest_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dpr, "CHUNK", 64)
    monkeypatch.setattr(dpr, "MAX_ENTRY", 1000)
    (tmp_path / "open.json").write_text('[{"question": "a"}, {"question": "' + "word " * 1000, "utf-8")
    with pytest.raises(UsageError, match=r"entry 2 is not JSON \(it has no end within 1,000 characters\)"):
        list(read_entries(tmp_path / "open.json"))


@pytest.mark.parametrize("text", ["", " \n ", "[]", "\ufeff[]"])
def test_a_file_without_entries_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.json").write_text(text, "utf-8")
    assert list(read_entries(tmp_path / "empty.json")) == []


def test_nothing_is_overwritten_and_absent_files_are_named(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    (tmp_path / "made").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        convert_to_beir({"test": file}, tmp_path / "made")
    with pytest.raises(NotFoundError, match="absent"):
        convert_to_beir({"test": tmp_path / "absent.json"}, tmp_path / "new")
    with pytest.raises(NotFoundError, match="nowhere"):
        convert_to_beir({"test": file}, tmp_path / "nowhere" / "new")


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    """60 MB of entries, in a process that may grow by 50 MB (ru_maxrss is in KiB): its text alone would take more."""
    entry = json.dumps({"question": "QUESTION", "positive_ctxs": [context(None, "ID " + "word " * 600)] * 2})
    with (tmp_path / "large.json").open("w") as stream:
        stream.write(
            "[" + ",".join(entry.replace("QUESTION", f"q{n}").replace("ID", str(n)) for n in range(10_000)) + "]"
        )
    program = f"""if True:
        import resource
        from pathlib import Path
        from eval.datasets.dpr import convert_to_beir
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made = convert_to_beir({{"train": Path({str(tmp_path / "large.json")!r})}}, Path({str(tmp_path / "made")!r}))
        assert made.n_passages == 10_000, made
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
    """
    grown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert float(grown) < 50
    assert (tmp_path / "large.json").stat().st_size > 55e6


# ---- the command, and the way back


def test_a_converted_file_can_be_ingested_and_measured(tmp_path: Path) -> None:
    made = str(tmp_path / "insects")
    said = nightjar(tmp_path / "data", "convert-dpr", "--test", str(a_file(tmp_path)), "--out", made)
    assert "4 passages and 2 test questions written" in said.stderr
    assert nightjar(tmp_path / "data", "ingest", "--beir", made).exit_code == 0
    printed = nightjar(tmp_path / "data", "eval", "retrieval", "--dataset", made, "--json")
    assert json.loads(printed.stdout)["n_questions"] == 2


def test_the_command_says_what_was_not_taken_unchanged(tmp_path: Path) -> None:
    entry = {"question": "who", "positive_ctxs": [], "hard_negative_ctxs": [context("9", " ", title="")]}
    renamed = {"question": "what", "positive_ctxs": [context("11", "One."), context("11", "Two.")]}
    file = str(a_file(tmp_path, [entry, renamed]))
    printed = nightjar(tmp_path / "data", "convert-dpr", "--test", file, "--out", str(tmp_path / "made")).stderr
    assert "1 questions without a right passage, which are not measured" in printed
    assert "1 passages without a word" in printed
    assert "1 passages renamed, because another text has their id" in printed


def test_a_conversion_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--train, --dev or --test"):
        nightjar(tmp_path, "convert-dpr", "--out", str(tmp_path / "made"))


def test_what_mine_writes_for_dpr_is_read_again(tmp_path: Path) -> None:
    from rag.records import Passage
    from retriever_training.negatives.training_files import write_rows

    passages = {
        name: Passage(
            passage_id=name, document_id="d", source="s", title="Title", heading="Part", text=name, start=0, end=1
        )
        for name in ("a", "b", "c")
    }
    negatives = [{"passage_id": "b", "source": "dense"}, {"passage_id": "c", "source": "random"}]
    line = {"query": "who?", "positive": "a", "weight": 1.0, "negatives": negatives}
    write_rows(tmp_path / "rows.json", "dpr", [line], passages, 2, force=False)
    convert_to_beir({"train": tmp_path / "rows.json"}, tmp_path / "made")
    dataset = load_beir(tmp_path / "made")
    assert dataset.qrels == {"train": {"q0": {"a": 1, "b": 0}}}
    assert sorted(dataset.corpus())[0] == ("a", "Title", "Part\na")
