"""What the command line imports before a command runs: the definitions of the benchmarks, but not the benchmarks."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTER_HELP = "; from typer.testing import CliRunner; assert CliRunner().invoke(ui.cli.app, ['--help']).exit_code == 0"
BENCHMARKS = ("eval.bench", "retriever_training.bench")


def modules_after(program: str) -> set[str]:
    """The modules that a fresh Python has loaded at the end of *program*."""
    code = f"{program}\nimport sys; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(printed.stdout.split())


@pytest.mark.parametrize("program", ["import ui.cli", f"import ui.cli{AFTER_HELP}"], ids=["import", "--help"])
def test_benchmarks_cost_nothing_until_one_runs(program: str) -> None:
    modules = modules_after(program)
    assert "ui.commands.bench.group" in modules
    assert [module for module in modules if module.startswith(BENCHMARKS)] == []


def test_a_loaded_benchmark_would_be_seen() -> None:
    modules = modules_after("import eval.bench.token_budget")
    assert [module for module in sorted(modules) if module.startswith(BENCHMARKS)][:2] == [
        "eval.bench",
        "eval.bench.token_budget",
    ]
