"""One state directory, opened: documents come in, questions are answered, and what changes is taken in."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from sqlalchemy import Engine

from rag.answering.answerer import Answerer
from rag.answering.query_rewriter import Rewriter
from rag.app.components import Parts
from rag.app.live_retriever import Live, Succession
from rag.database.schema import open_database
from rag.embedding.encoder import Encoder
from rag.errors import SettingsError
from rag.feedback.feedback_store import Feedback
from rag.generation.abstention import Bar, load_bar
from rag.generation.chat.prompt import PASSAGE_CHARACTERS
from rag.generation.generator import Generator, generator_of
from rag.index.exact_search import ExactIndex
from rag.ingestion.concurrent_encoding import EncodeBeside, Encoded
from rag.ingestion.find_files import Found
from rag.ingestion.ingest import IngestReport, ingest_found
from rag.ingestion.ingest_jobs import JobStage
from rag.ingestion.progress import Tell, nobody
from rag.ingestion.remove_documents import gone_files
from rag.library.surrounding_text import widened
from rag.records import Hit
from rag.retrieval.retriever import Retriever
from rag.settings import Settings
from rag.state_files import close_to_others, make_private_folder

log = logging.getLogger(__name__)


class App(Parts):
    """One state directory, opened. `serve` owns the Chroma index; without it search is exact, over SQL."""

    def __init__(self, settings: Settings, engine: Engine, *, serve: bool) -> None:
        super().__init__(settings, engine)
        self.serve = serve
        self._live: Live | None = None
        self._refreshing = threading.Lock()
        self._succession = Succession(self, serve=serve)

    def ingest(
        self,
        found: Found,
        *,
        tell: Tell = nobody,
        stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda n: None,
        enter: Callable[[JobStage], None] = lambda stage: None,
        remove_vanished: bool = False,
        n_readers: int | None = None,
    ) -> tuple[IngestReport, Encoded]:
        """Brings files in and makes them findable: passages are encoded while other files are still being read.

        At the end what earlier ingests left without a vector is encoded too. *progress* gets 1 for every file, *enter*
        what comes after the reading. Where *stopped* turns true no further file is begun, and what is not encoded yet
        is left to the next ingest.
        """
        self.current()
        gone = gone_files(self.library, found)
        if remove_vanished:  # first: else a file that was renamed would be taken for a copy of itself
            self.removal.exactly(gone)
        with EncodeBeside(self.vectors(), self.encoder_to_fill, tell, stopped) as beside:
            report = ingest_found(
                self.library, found, splitting=self.splitting(), limits=self.limits, progress=progress,
                tell=tell, take=beside.take, stopped=stopped, n_readers=n_readers,
            )  # fmt: skip
            enter("encoding")
            encoded = beside.finish()
        if encoded.n_encoded:
            self.library.vectors_arrived()
        started = time.perf_counter()
        n_rest = 0 if stopped() else self.encode_missing()
        rest_s = time.perf_counter() - started if n_rest else 0.0
        enter("indexing")
        if self.serve:
            self.refresh()
        note = "removed" if remove_vanished else ""
        report += IngestReport(vanished=tuple((source, note) for source in gone))
        return report, replace(encoded, n_encoded=encoded.n_encoded + n_rest, encoding_s=encoded.encoding_s + rest_s)

    def encoder_to_fill(self) -> Encoder:
        """The one that answers, where that is of this version and complete; else one of its own."""
        live, current = self._live, self.current()
        if live and live.version.encoder_id == current.encoder_id and isinstance(live.retriever.encoder, Encoder):
            return live.retriever.encoder
        return super().encoder_to_fill()

    # ---- answering

    @property
    def live(self) -> Live:
        """What answers now."""
        if self._live is None:
            self.refresh()
        assert self._live is not None
        return self._live

    @property
    def retriever(self) -> Retriever:
        """The current version over the library as it is now."""
        return self.live.retriever

    def retriever_of(self, encoder_id: str, *, distinct: bool | None = None) -> Retriever:
        """A retriever for any version, searching exactly and without a reranker; for comparisons.

        Near-duplicates collapse as *distinct* says, else as the settings do.
        """
        version = self.registry.version(encoder_id)
        encoder, vectors = self.quick_encoder(version.encoder_id), self.vectors(version.passage_side)
        return self._succession.retriever(version, encoder, ExactIndex(vectors), self.lexical(), distinct=distinct)

    @cached_property
    def answerer(self) -> Answerer:
        """The one call that the product exists for. Takes the retriever anew for every question."""
        return self.answerer_over(lambda: self.retriever, generator_of(self.chat_model), self.feedback)

    def answerer_over(
        self,
        retriever: Callable[[], Retriever],
        generator: Generator,
        feedback: Feedback,
        k: int = 0,
        bar_of: Callable[[str], Bar] | None = None,
    ) -> Answerer:
        """Answers as the settings say, by other parts than those that serve; for measuring. *k* 0: as many as are shown.

        *bar_of* gives another bar than the one that was found for a version.
        """
        model, within_s = self.chat_model, self.settings.generator.rewrite_s
        return Answerer(
            retriever,
            generator,
            self.library,
            feedback,
            k=k or self.settings.retrieval.k,
            standalone=Rewriter(model, within_s).standalone if model and within_s else None,
            drops_unsupported=self.settings.generator.unsupported == "drop",
            widen=self._widen if model else tuple,
            bar_of=bar_of or (lambda encoder_id: load_bar(self.settings.data, encoder_id)),  # anew: a night may move it
        )

    def _widen(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """The hits with as much of the text around them as the settings let a language model read."""
        return widened(self.engine, hits, self.settings.generator.around, PASSAGE_CHARACTERS)

    def refresh(self) -> bool:
        """Takes in a promotion, a rollback or a changed library; returns whether anything had changed.

        What answered goes on answering until its successor stands; then one assignment switches.
        """
        changed = self._take_in_changes()
        if self.serve and not changed and self.live.today:  # not while somebody waits for the new version
            self.live.today.catch_up()
        return changed

    def _take_in_changes(self) -> bool:
        with self._refreshing:
            self.current()
            # The state before what it names is read: what changes in between is taken in by the next refresh.
            promotion = self.registry.latest_promotion()
            state = (promotion.promotion_id, self.library.revision(), self.library.vectors_revision())
            before = self._live
            if before and before.state == state:
                self._live = self._succession.with_full_encoder(before)
                return False
            version = self.registry.version(promotion.encoder_id)
            self._live = self._succession.after(before, version, state)
            if before and before.index and before.index is not self._live.index:
                before.index.close()
            log.info("answering with version %s over library revision %d", version.encoder_id, state[1])
            return True

    def close(self) -> None:
        """Closes the index and the database."""
        if self._live and self._live.index:
            self._live.index.close()
        self.engine.dispose()


def open_app(settings: Settings, *, serve: bool = False) -> App:
    """Opens the state directory, creating it where it is new; nobody but its owner may read it.

    *serve* is for the one process that answers for long: it takes the Chroma index under its lock.

    Raises:
        SettingsError: the state directory can't be made, or the database URL can't be read.
        NightjarError: the database can't be opened.
    """
    try:
        make_private_folder(settings.data)
        close_to_others(settings.data, thorough=serve)
    except OSError as error:
        raise SettingsError(f"the state directory {str(settings.data)!r} can't be made ({error.strerror}): "
                            "name another one with --data or NIGHTJAR_DATA") from error  # fmt: skip
    return App(settings, open_database(settings.database_url), serve=serve)
