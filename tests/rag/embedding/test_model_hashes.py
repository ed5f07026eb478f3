"""What a version's files name: the version by all of them, the passage side by what a passage goes through."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from rag.embedding.model_hashes import (
    check_model_folder,
    compute_encoder_id,
    compute_passage_side,
    passage_modules,
    route_modules,
    text_prompt,
)
from rag.errors import EncoderError

PARTS = {
    "modules.json": [{"type": "st.Transformer", "path": ""}, {"type": "st.Pooling", "path": "1_Pooling"}],
    "config.json": {"model_type": "bert"},
    "1_Pooling/config.json": {"pooling_mode": "mean"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model folder, whose weights are a megabyte so that their hash is one that is remembered."""
    made = tmp_path / "model"
    for name, content in PARTS.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(json.dumps(content))
    (made / "model.safetensors").write_bytes(bytes(1_000_000))
    return made


def change(file: Path, offset: int) -> None:
    """Flips one bit in place."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ 1]))


def ids(folder: Path) -> tuple[str, str]:
    return compute_encoder_id(folder), compute_passage_side(folder)


@pytest.mark.parametrize("offset", [0, 500_000, 999_999])
def test_any_byte_of_the_weights_changes_both_ids(folder, offset) -> None:
    before = ids(folder)
    change(folder / "model.safetensors", offset)
    assert all(now != then for now, then in zip(ids(folder), before, strict=True))
    change(folder / "model.safetensors", offset)
    os.utime(folder / "model.safetensors")
    assert ids(folder) == before


def test_weights_in_several_files_are_all_part_of_both_ids(folder) -> None:
    """Models above five gigabytes are saved so."""
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    second = folder / "model-00002-of-00002.safetensors"
    second.write_bytes(b"a")
    before = ids(folder)
    second.write_bytes(b"b")
    assert all(now != then for now, then in zip(ids(folder), before, strict=True))


def test_a_small_file_written_twice_within_a_tick_has_two_hashes(folder) -> None:
    seen = set()
    for content in "abcdefgh":
        (folder / "config.json").write_text(content)
        os.utime(folder / "config.json", ns=(1, 1))
        seen.add(compute_encoder_id(folder))
    assert len(seen) == 8


def test_what_is_written_for_readers_changes_no_id(folder) -> None:
    before = ids(folder)
    for name in ("README.md", "manifest.json", "training_positives.json"):
        (folder / name).write_text("for readers")
    assert ids(folder) == before


def test_the_weight_of_bm25_is_part_of_the_version_but_not_of_the_passage_side(folder) -> None:
    seen = set()
    for weight in (0.25, 0.3):
        (folder / "retrieval.json").write_text(json.dumps({"lexical_weight": weight}))
        seen.add(ids(folder))
    assert len({version for version, _ in seen}) == 2
    assert len({side for _, side in seen}) == 1


def test_names_and_places_of_files_are_part_of_the_version(folder) -> None:
    before = compute_encoder_id(folder)
    (folder / "vocab.txt").write_text("x")
    named = compute_encoder_id(folder)
    (folder / "vocab.txt").rename(folder / "1_Pooling" / "vocab.txt")
    assert len({before, named, compute_encoder_id(folder)}) == 3


def test_pooling_and_the_order_of_modules_are_part_of_the_passage_side(folder) -> None:
    before = compute_passage_side(folder)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    pooled = compute_passage_side(folder)
    (folder / "modules.json").write_text(json.dumps(PARTS["modules.json"][::-1]))
    assert len({before, pooled, compute_passage_side(folder)}) == 3


def test_the_id_does_not_depend_on_where_the_folder_is(folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert ids(tmp_path / "elsewhere") == ids(folder)


def test_what_is_put_before_passages_is_part_of_the_passage_side(folder) -> None:
    """A query's prompt, as E5 has one, is not."""
    before = compute_passage_side(folder)

    def side_with(**config) -> str:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
        return compute_passage_side(folder)

    assert side_with(prompts={"query": "query: ", "document": ""}) == before
    assert side_with(prompts={}, default_prompt_name=None) == before
    prompted = side_with(prompts={"query": "query: ", "passage": "passage: "})
    assert prompted != before
    assert side_with(prompts={"web": "passage: "}, default_prompt_name="web") == prompted
    assert text_prompt(folder, "query") == "passage: "


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "a/b/x.pt", "x.pkl", "modeling.py", "x.PTH", "x.ckpt", "x.pickle"]
)
def test_files_that_may_run_code_are_refused(folder, name) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(EncoderError, match="may run code when it is loaded"):
        compute_encoder_id(folder)


def test_a_folder_that_is_no_model_is_refused(tmp_path) -> None:
    with pytest.raises(EncoderError, match=r"has no modules\.json"):
        check_model_folder(tmp_path)


def test_a_model_whose_modules_can_not_be_read_is_refused(folder) -> None:
    (folder / "modules.json").write_text("[{")
    with pytest.raises(EncoderError, match=r"modules\.json' can't be read"):
        compute_passage_side(folder)


# ---- the real base, and a version of tier 1 made from it


def test_a_tier_1_version_shares_the_bases_passage_side(base_folder, map_folder) -> None:
    assert compute_passage_side(map_folder) == compute_passage_side(base_folder)
    assert compute_encoder_id(map_folder) != compute_encoder_id(base_folder)


def test_the_routes_of_a_tier_1_version_part_after_pooling(map_folder) -> None:
    assert [kind for kind, _ in route_modules(map_folder, "query")] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert [kind for kind, _ in passage_modules(map_folder)] == ["Transformer", "Pooling", "Normalize"]
    assert route_modules(map_folder, "query")[0] == passage_modules(map_folder)[0]


def test_a_tier_1_version_takes_no_second_copy_of_the_weights(base_folder, map_folder) -> None:
    assert (map_folder / "query_0_Transformer" / "model.safetensors").samefile(base_folder / "model.safetensors")
