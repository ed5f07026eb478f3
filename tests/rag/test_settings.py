"""Settings: where they come from, which source wins, and what is refused; `nightjar config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.errors import SettingsError
from rag.settings import load_settings

PASSWORD = "hunter2"
DATABASE_URL = f"postgresql+psycopg://nightjar:{PASSWORD}@db.example/nightjar"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, where a nightjar.toml would be found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "nightjar.toml") -> Path:
    file = Path(name)
    file.write_text(text, "utf-8")
    return file


def config(*arguments: str):
    import typer

    from ui.cli import _Commands, main
    from ui.commands.admin import config as configuring

    app = typer.Typer(cls=_Commands)
    app.callback()(main)
    app.add_typer(configuring.config_group)
    return CliRunner().invoke(app, [*arguments])


# ---- which source wins


def test_without_any_source_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.data == Path("nightjar-data")
    assert (settings.encoder.max_tokens, settings.retrieval.k, settings.retrieval.lexical_weight) == (128, 6, 0.25)
    assert settings.database_url == "sqlite:///nightjar-data/nightjar.db"


def test_each_source_beats_the_one_before_and_leaves_other_keys_alone(monkeypatch) -> None:
    write("[night]\nepochs = 3\nseed = 4\ntier = '3'\nbatch_size = 16\n")
    assert load_settings().night.epochs == 3
    monkeypatch.setenv("NIGHTJAR__NIGHT__SEED", "5")
    monkeypatch.setenv("NIGHTJAR__NIGHT__EPOCHS", "6")
    night = load_settings(night={"tier": "1", "epochs": 7}).night
    assert (night.batch_size, night.seed, night.epochs, night.tier) == (16, 5, 7, "1")


def test_the_state_directory_is_taken_from_flag_then_environment_then_file(monkeypatch) -> None:
    write('data = "from-file"')
    assert load_settings().data == Path("from-file")
    monkeypatch.setenv("NIGHTJAR__DATA", "from-nested")
    assert load_settings().data == Path("from-nested")
    monkeypatch.setenv("NIGHTJAR_DATA", "from-environment")
    assert load_settings().data == Path("from-environment")
    assert load_settings(Path("from-flag")).data == Path("from-flag")
    assert load_settings(Path("from-flag")).database_url == "sqlite:///from-flag/nightjar.db"


def test_a_variable_set_to_nothing_is_a_variable_not_set(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR_DATA", "")
    monkeypatch.setenv("NIGHTJAR_CONFIG", "")
    assert load_settings().data == Path("nightjar-data")


def test_the_file_is_the_one_named_by_flag_or_environment(monkeypatch) -> None:
    write("[retrieval]\nk = 1\n")
    other = write("[retrieval]\nk = 2\n", "other.toml")
    third = write("[retrieval]\nk = 3\n", "third.toml")
    assert load_settings().retrieval.k == 1
    monkeypatch.setenv("NIGHTJAR_CONFIG", str(other))
    assert load_settings().retrieval.k == 2
    assert load_settings(file=third).retrieval.k == 3


def test_lists_are_given_as_json_in_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR__FEEDBACK__TRUSTED", '["ada", "grace"]')
    assert load_settings().feedback.trusted == ("ada", "grace")


def test_settings_can_not_be_changed_after_reading() -> None:
    settings = load_settings()
    for target, name in ((settings, "data"), (settings.retrieval, "k")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(target, name, 1)


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[encodr]\nmodel = 'x'", r"unknown setting 'encodr': did you mean 'encoder'\?"),
        ("[encoder]\nmodle = 'x'", r"unknown setting 'encoder.modle': did you mean 'model'\?"),
        ("dta = 'x'", r"unknown setting 'dta': did you mean 'data'\?"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_the_nearest_name(text, told) -> None:
    write(text)
    with pytest.raises(SettingsError, match=told):
        load_settings()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("NIGHTJAR__ENCODR__MODEL", r"'NIGHTJAR__ENCODR__MODEL' names no setting: did you mean 'encoder'\?"),
        ("NIGHTJAR__ENCODER__MODLE", r"unknown setting 'encoder.modle': did you mean 'model'\?"),
        ("NIGHTJAR_ENCODER__MODEL", "'NIGHTJAR_ENCODER__MODEL' names no setting: write NIGHTJAR__SECTION__KEY"),
        ("NIGHTJAR__DATA__DIR", "'NIGHTJAR__DATA__DIR' names no setting: 'data' has no keys below it"),
        ("NIGHTJAR__", "'NIGHTJAR__' names no setting"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(monkeypatch, name, told) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_variables_that_kubernetes_sets_for_a_service_of_our_name_are_left_alone(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("NIGHTJAR_PORT_80_TCP", "tcp://10.0.0.1:80")
    assert load_settings().server.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"night": {"teir": "1"}}, r"unknown setting 'night.teir': did you mean 'tier'\?"),
        ({"nigth": {"tier": "1"}}, r"unknown setting 'nigth': did you mean 'night'\?"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest_name(flags, told) -> None:
    with pytest.raises(SettingsError, match=told):
        load_settings(**flags)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[retrieval]\nk = 0", r"'retrieval.k' is 0, .*greater than or equal to 1"),
        ("[retrieval]\nlexical_weight = nan", r"'retrieval.lexical_weight' is nan"),
        ("[night]\ntier = '9'", r"'night.tier' is '9', .*'auto', '1', '2' or '3'"),
        ("[schedule]\nat = '25:00'", r"'schedule.at' is '25:00', .*pattern"),
        ("[server]\nport = 'http'", r"'server.port' is 'http', .*valid integer"),
        ("encoder = 'x'", r"'encoder' is 'x', .*valid dictionary"),
    ],
)
def test_a_refused_value_is_told_with_its_setting_and_the_rule(text, told) -> None:
    write(text)
    with pytest.raises(SettingsError, match=told):
        load_settings()


def test_every_mistake_is_told_at_once() -> None:
    write("[retrieval]\nk = 0\n[encodr]\nmodel = 'x'")
    with pytest.raises(SettingsError, match=r"(?s)retrieval\.k.*\n.*encodr"):
        load_settings()


@pytest.mark.parametrize("broken", [b"k = = 1", b'data = "\xe9"', b"[retrieval]\nk = 1\nk = 2"])
def test_a_file_that_is_no_toml_is_refused(here, broken) -> None:
    (here / "nightjar.toml").write_bytes(broken)
    with pytest.raises(SettingsError, match=r"'nightjar.toml' is not valid TOML"):
        load_settings()


def test_a_settings_file_that_was_named_must_be_there(monkeypatch) -> None:
    """Read as empty, a misspelt --config would run the night with other settings than meant."""
    with pytest.raises(SettingsError, match=r"'absent.toml' is not there"):
        load_settings(file=Path("absent.toml"))
    monkeypatch.setenv("NIGHTJAR_CONFIG", "gone.toml")
    with pytest.raises(SettingsError, match=r"'gone.toml' is not there"):
        load_settings()


@pytest.mark.parametrize("name", ["NIGHTJAR__FEEDBACK__TRUSTED", "NIGHTJAR__DATABASE"])
def test_a_variable_that_must_be_json_is_named_when_it_is_not(monkeypatch, name) -> None:
    monkeypatch.setenv(name, f"ada,{PASSWORD}")
    with pytest.raises(SettingsError, match=f"{name} is not valid JSON") as refused:
        load_settings()
    assert PASSWORD not in str(refused.value)


# ---- secrets


def test_a_secret_is_in_no_print_of_the_settings(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR__DATABASE__URL", DATABASE_URL)
    settings = load_settings()
    assert settings.database_url == DATABASE_URL
    for text in (str(settings), repr(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert PASSWORD not in text


@pytest.mark.parametrize(
    "text",
    [
        f"database = '{DATABASE_URL}'",
        f"[database]\nurl = ['{DATABASE_URL}']",
        f"[database]\nurl = '{DATABASE_URL}'\nul = 1",
    ],
)
def test_a_secret_is_not_told_when_its_setting_is_refused(text) -> None:
    write(text)
    with pytest.raises(SettingsError, match="setting 'database") as refused:
        load_settings()
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None  # a traceback would print pydantic's message


# ---- nightjar config


def test_config_show_lists_every_setting_with_value_default_and_meaning(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR__RETRIEVAL__K", "9")
    monkeypatch.setenv("NIGHTJAR__DATABASE__URL", DATABASE_URL)
    shown = config("config", "show", "--json")
    assert shown.exit_code == 0
    settings = {setting["name"]: setting for setting in json.loads(shown.stdout)}
    assert settings["retrieval.k"] == {"name": "retrieval.k", "value": 9, "default": 6, "description": "passages shown"}
    assert settings["feedback.trusted"]["value"] == ["local"]
    assert settings["database.url"]["value"] == "**********"
    assert {"data", "encoder.model", "schedule.at", "gate.alpha"} <= settings.keys()
    assert [name for name, setting in settings.items() if not setting["description"]] == []


def test_config_show_masks_secrets_in_the_table(monkeypatch) -> None:
    monkeypatch.setenv("NIGHTJAR__DATABASE__URL", DATABASE_URL)
    shown = config("config", "show")
    assert shown.exit_code == 0
    assert "database.url" in shown.output
    assert PASSWORD not in shown.output


def test_config_show_of_broken_settings_says_what_can_be_set_and_what_is_wrong() -> None:
    write("[retrieval]\nkay = 1")
    shown = config("config", "show")
    assert shown.exit_code == 2
    assert "retrieval.candidates" in shown.stdout
    assert "unknown setting 'retrieval.kay'" in shown.stderr


def test_config_check_exits_with_2_where_something_is_wrong(here) -> None:
    assert config("config", "check").exit_code == 0
    write("[retrieval]\nk = 0")
    checked = config("config", "check")
    assert checked.exit_code == 2
    assert "'retrieval.k' is 0" in checked.stderr
    assert [path.name for path in here.iterdir()] == ["nightjar.toml"]


def test_the_flags_data_and_config_reach_the_settings(here) -> None:
    file = write("[retrieval]\nk = 4\n", "mine.toml")
    shown = config("--data", "elsewhere", "--config", str(file), "config", "show", "--json")
    settings = {setting["name"]: setting["value"] for setting in json.loads(shown.stdout)}
    assert (settings["data"], settings["retrieval.k"]) == ("elsewhere", 4)
    assert not (here / "elsewhere").exists()
