"""`nightjar eval`: the group of commands that measure a version."""

from __future__ import annotations

from ui.commands.command_group import command_group
from ui.commands.evaluation.answers import answers
from ui.commands.evaluation.judge import judge
from ui.commands.evaluation.report import report
from ui.commands.evaluation.retrieval import retrieval
from ui.commands.evaluation.robustness import robustness

eval_group = command_group(
    "eval",
    "Measure a version on questions whose right passages are known.",
    [retrieval, report, answers, robustness, judge],
)
