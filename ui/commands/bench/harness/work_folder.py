"""Where a bench works, and the settings' base in there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag.embedding.encoder import Encoder
    from rag.settings_sections import EncoderSettings


@contextmanager
def work_folder(out: Path | None) -> Iterator[Path]:
    """*out*, made if it is not there and kept; without one, a folder that is gone afterwards."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
        yield out
    else:
        with TemporaryDirectory(prefix="nightjar-bench-") as folder:
            yield Path(folder)


def save_and_open_base(folder: Path, chosen: EncoderSettings) -> Encoder:
    """Writes the base to `folder / "base"` and opens it."""
    from rag.embedding.encoder import Encoder
    from rag.versions.base_model import save_base

    shutil.rmtree(folder / "base", ignore_errors=True)  # the settings may name another one than last time
    save_base(chosen.model, chosen.max_tokens, folder / "base")
    return Encoder.open(folder / "base", precision=chosen.precision, threads=chosen.threads)
