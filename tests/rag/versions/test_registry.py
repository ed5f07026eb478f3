"""The registry: which versions there are, which one answers, and the way back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from rag.database.schema import app_state, promotions
from rag.embedding.model_hashes import compute_encoder_id
from rag.errors import NotFoundError, UsageError
from rag.versions.registry import VERSION_MANIFEST, Version, VersionRegistry


@pytest.fixture
def registry(engine, tmp_path) -> VersionRegistry:
    return VersionRegistry(engine, tmp_path)


@pytest.fixture
def make(registry, tmp_path):
    """Registers a small model folder that holds *content*."""

    def make(content: str, *, weight: float = 0.25, tier: int = 1, **how) -> Version:
        made = model(tmp_path / f"made-{content}", content)
        return registry.register(
            made, tier=tier, parent_id=None, lexical_weight=weight, note={"content": content}, **how
        )

    return make


def model(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "modules.json").write_text('[{"type": "st.Transformer", "path": ""}]')
    (folder / "config.json").write_text(content)
    return folder


def current(registry: VersionRegistry) -> str:
    return registry.current().note["content"]


# ---- what a version is


def test_a_version_is_what_was_registered(registry, make, tmp_path) -> None:
    made = make("a", weight=0.3, tier=3)
    assert registry.version(made.encoder_id) == made
    assert (made.tier, made.parent_id, made.lexical_weight, made.note) == (3, None, 0.3, {"content": "a"})
    assert made.folder == tmp_path / "versions" / made.encoder_id
    assert made.encoder_id == compute_encoder_id(made.folder)
    manifest = json.loads((made.folder / VERSION_MANIFEST).read_text())
    assert (manifest["encoder_id"], manifest["passage_side"]) == (made.encoder_id, made.passage_side)
    assert not (tmp_path / "made-a").exists()


def test_the_weight_of_bm25_is_part_of_the_id_and_not_of_the_passage_side(registry, make) -> None:
    light, heavy = make("a", weight=0.25), make("a", weight=0.5)
    assert light.encoder_id != heavy.encoder_id
    assert light.passage_side == heavy.passage_side
    assert [
        version.lexical_weight for version in (registry.version(light.encoder_id), registry.version(heavy.encoder_id))
    ] == [
        0.25,
        0.5,
    ]


def test_the_same_files_twice_are_one_version(registry, make, tmp_path) -> None:
    first = make("a")
    again = make("a")
    assert again == first
    assert registry.versions() == [first]
    assert sorted(path.name for path in (tmp_path / "versions").iterdir()) == [first.encoder_id]
    assert not (tmp_path / "made-a").exists()


def test_versions_are_listed_oldest_first(registry, make) -> None:
    made = [make(content) for content in "cab"]
    assert registry.versions() == made


def test_the_right_answers_of_training_are_remembered_with_the_version(registry, make) -> None:
    taught = make("a", training_positives=["p2", "p1", "p2"])
    assert registry.training_positives(taught.encoder_id) == {"p1", "p2"}
    assert registry.training_positives(make("b").encoder_id) == frozenset()


def test_a_folder_left_without_a_manifest_is_replaced(registry, make, tmp_path) -> None:
    """A kill while files were moved leaves such a folder; it does not exist."""
    made = model(tmp_path / "made-first", "a")
    (made / "retrieval.json").write_text('{"lexical_weight": 0.25}')
    torn = tmp_path / "versions" / compute_encoder_id(made)
    torn.mkdir(parents=True)
    (torn / "config.json").write_text("half")
    version = make("a")
    assert version.folder == torn
    assert (torn / "config.json").read_text() == "a"


def test_a_version_whose_row_was_lost_with_a_kill_is_registered_again(registry, make, engine, tmp_path) -> None:
    from rag.database.schema import versions

    first = make("a")
    with engine.begin() as connection:
        connection.execute(versions.delete())
    assert registry.versions() == []
    assert make("a").encoder_id == first.encoder_id
    assert len(registry.versions()) == 1


def test_processes_that_register_the_same_files_at_once_make_one_version(registry, engine, tmp_path) -> None:
    """As `serve` and `ingest` do, started together in a new state directory."""
    code = (
        "import sys; from pathlib import Path; from rag.database.schema import open_database\n"
        "from rag.versions.registry import VersionRegistry\n"
        "registry = VersionRegistry(open_database(sys.argv[1]), Path(sys.argv[2]))\n"
        "for folder in sys.argv[3:]:\n"
        "    registry.register(Path(folder), tier=0, parent_id=None, lexical_weight=0.25, note={})\n"
    )
    url = engine.url.render_as_string()
    folders = [[str(model(tmp_path / f"{letter}-{n}", str(n))) for n in range(10)] for letter in "ab"]
    running = [
        subprocess.Popen([sys.executable, "-c", code, url, str(tmp_path), *folders_of_one])
        for folders_of_one in folders
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert len(registry.versions()) == 10
    assert all((version.folder / VERSION_MANIFEST).is_file() for version in registry.versions())


# ---- which one answers


def test_without_a_version_the_way_out_is_told(registry) -> None:
    for ask in (registry.current, registry.latest_promotion, registry.base):
        with pytest.raises(NotFoundError, match='run "nightjar ingest" or "nightjar serve" once'):
            ask()


def test_the_version_promoted_last_is_current(registry, make) -> None:
    versions = {content: make(content) for content in "abc"}
    for content in "abca":
        registry.promote(versions[content].encoder_id, f"try {content}")
        assert current(registry) == content
    assert [(promotion.kind, promotion.reason) for promotion in registry.history()] == [
        ("promote", "try a"),
        ("promote", "try c"),
        ("promote", "try b"),
        ("promote", "try a"),
    ]
    assert registry.history(limit=1) == [registry.latest_promotion()]


def test_rollbacks_pair_up_with_promotions_like_brackets(registry, make) -> None:
    versions = {content: make(content) for content in "abcd"}

    def promote(content: str) -> None:
        registry.promote(versions[content].encoder_id, "test")

    for content in "abc":
        promote(content)
    registry.rollback()
    assert current(registry) == "b"
    registry.rollback()
    assert current(registry) == "a"
    with pytest.raises(UsageError, match="no version before the current one"):
        registry.rollback()
    assert current(registry) == "a"
    promote("d")
    promote("b")
    registry.rollback()
    assert current(registry) == "d"
    registry.rollback()
    assert current(registry) == "a"
    assert [promotion.kind for promotion in registry.history()].count("rollback") == 4


def test_a_version_promoted_again_after_a_rollback_can_be_rolled_back_again(registry, make) -> None:
    a, b = make("a"), make("b")
    registry.promote(a.encoder_id, "first")
    for _ in range(3):
        registry.promote(b.encoder_id, "once more")
        registry.rollback()
        assert current(registry) == "a"
    with pytest.raises(UsageError, match="no version before"):
        registry.rollback()


def test_promoting_the_current_version_is_no_step_to_roll_back(registry, make) -> None:
    a, b = make("a"), make("b")
    for version in (a, a, b, b, b):
        registry.promote(version.encoder_id, "test")
    registry.rollback()
    assert current(registry) == "a"
    with pytest.raises(UsageError, match="no version before"):
        registry.rollback()


def test_the_base_is_the_one_installed_last_whatever_was_promoted_since(registry, make, engine) -> None:
    old, base, trained = make("old", tier=0), make("base", tier=0), make("trained")
    registry.promote(old.encoder_id, "base", kind="install")
    registry.promote(base.encoder_id, "base", kind="install")
    registry.promote(trained.encoder_id, "night")
    registry.rollback()
    registry.rollback()
    assert current(registry) == "old"
    assert registry.base().note["content"] == "base"
    with engine.begin() as connection:  # three years of nights
        row = {
            "encoder_id": trained.encoder_id,
            "kind": "promote",
            "reason": "",
            "promoted_at": "2026-01-01T00:00:00+00:00",
        }
        connection.execute(insert(promotions), [row] * 1100)
    assert registry.base().note["content"] == "base"


def test_what_belongs_to_a_promotion_is_written_with_it_or_not_at_all(registry, make, engine) -> None:
    a, b = make("a"), make("b")
    registry.promote(a.encoder_id, "first", also=lambda c: c.execute(insert(app_state).values(name="x", value="1")))

    def fail(connection) -> None:
        connection.execute(insert(app_state).values(name="y", value="1"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.promote(b.encoder_id, "second", also=fail)
    assert current(registry) == "a"
    with engine.connect() as connection:
        assert list(connection.scalars(select(app_state.c.name))) == ["x"]


def test_a_version_whose_files_are_gone_can_not_be_made_current(registry, make) -> None:
    a, b = make("a"), make("b")
    registry.promote(a.encoder_id, "first")
    (b.folder / VERSION_MANIFEST).unlink()
    with pytest.raises(UsageError, match="has no files in"):
        registry.promote(b.encoder_id, "second")
    assert current(registry) == "a"


# ---- naming one


def test_a_version_is_found_by_the_beginning_of_its_id(registry, make) -> None:
    made = [make(content) for content in "abcdefghijklmnopqr"]  # more than there are hexadecimal digits
    for version in made:
        assert registry.version(version.encoder_id[:10]) == version
    digits = [version.encoder_id[0] for version in made]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(UsageError, match=rf"'{twice}' begins {digits.count(twice)} versions: write more"):
        registry.version(twice)


@pytest.mark.parametrize("named", ["", "%", "_", "zzz", "' OR 1=1 --"])
def test_what_names_no_version_is_refused(registry, make, named) -> None:
    """% and _ stand for anything in SQL's LIKE; here they stand for themselves."""
    make("a")
    with pytest.raises(NotFoundError, match="no version"):
        registry.version(named)


# ---- forgetting one


def test_a_discarded_version_keeps_its_row_and_loses_its_files(registry, make) -> None:
    a, refused = make("a"), make("b")
    registry.promote(a.encoder_id, "first")
    registry.discard(refused.encoder_id)
    assert not refused.folder.exists()
    assert refused in registry.versions()
    with pytest.raises(UsageError, match="has no files"):
        registry.promote(refused.encoder_id, "after all")


def test_a_discarded_version_comes_back_when_its_files_are_made_again(registry, make) -> None:
    registry.discard(make("a").encoder_id)
    registry.promote(make("a").encoder_id, "made again")
    assert current(registry) == "a"
    assert len(registry.versions()) == 1


def test_a_version_that_was_ever_current_is_not_discarded(registry, make) -> None:
    a, b = make("a"), make("b")
    for version in (a, b):
        registry.promote(version.encoder_id, "test")
    registry.discard(a.encoder_id)
    registry.discard(b.encoder_id)
    registry.rollback()
    assert current(registry) == "a"
    assert (a.folder / VERSION_MANIFEST).is_file()


def test_the_state_directory_may_be_moved(registry, make, engine, tmp_path) -> None:
    made = make("a")
    registry.promote(made.encoder_id, "first")
    shutil.move(tmp_path / "versions", tmp_path / "elsewhere" / "versions")
    moved = VersionRegistry(engine, tmp_path / "elsewhere").current()
    assert moved.folder == tmp_path / "elsewhere" / "versions" / made.encoder_id
    assert compute_encoder_id(moved.folder) == made.encoder_id
