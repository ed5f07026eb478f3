"""Work in a process of its own, so that the peak of memory that it tells is its own."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import ParamSpec, TypeVar

GIB = 2**30

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run_in_subprocess(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """What *work* returns from a fresh process, which ends with it or with this one. All of it has to be picklable."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        return pool.submit(work, *arguments, **named).result()


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, however that one ended."""
    parent = parent_process()
    if parent is not None:
        Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def peak_memory_gib() -> float:
    """The most memory that this process held so far.

    From /proc if that is: there `getrusage` goes on with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / GIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / GIB
