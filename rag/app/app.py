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
from rag.answering.query_rewriter import QueryRewriter
from rag.app.components import Components
from rag.app.live_retriever import ActiveRetriever, RetrieverFactory
from rag.app.stores import Stores
from rag.arrays import FloatArray
from rag.database.schema import open_database
from rag.embedding.encoder import Encoder
from rag.errors import SettingsError
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.abstention import AbstentionThreshold, load_threshold
from rag.generation.chat.prompt import MAX_PASSAGE_CHARACTERS
from rag.generation.generator import Generator, generator_of
from rag.index.exact_search import ExactIndex
from rag.ingestion.concurrent_encoding import ConcurrentEncoder, EncodingReport
from rag.ingestion.find_files import FoundFiles
from rag.ingestion.ingest import IngestReport, ingest_files
from rag.ingestion.ingest_jobs import JobStage
from rag.ingestion.progress import ProgressCallback, ignore_progress
from rag.ingestion.remove_documents import find_gone_sources
from rag.library.surrounding_text import with_surrounding_text
from rag.records import Hit
from rag.retrieval.retriever import Retriever
from rag.settings import Settings
from rag.state_files import close_to_others, make_private_folder

log = logging.getLogger(__name__)


class App(Components):
    """One state directory, opened. `serve` owns the Chroma index; without it search is exact, over SQL."""

    def __init__(self, settings: Settings, engine: Engine, *, serve: bool) -> None:
        super().__init__(settings, engine)
        self.serve = serve
        self._live: ActiveRetriever | None = None
        self._refreshing = threading.Lock()
        self._succession = RetrieverFactory(self, serve=serve)

    def ingest(
        self,
        files: FoundFiles,
        *,
        on_progress: ProgressCallback = ignore_progress,
        is_stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda n: None,
        on_stage: Callable[[JobStage], None] = lambda stage: None,
        remove_vanished: bool = False,
        n_readers: int | None = None,
    ) -> tuple[IngestReport, EncodingReport]:
        """Brings files in and makes them findable: passages are encoded while other files are still being read.

        At the end what earlier ingests left without a vector is encoded too. *progress* gets 1 for every file, *on_stage*
        what comes after the reading. If *is_stopped* turns true no further file is begun, and what is not encoded yet
        is left to the next ingest.
        """
        self.current()
        gone = find_gone_sources(self.library, files)
        if remove_vanished:  # first: else a file that was renamed would be taken for a copy of itself
            self.removal.remove_sources(gone)
        with ConcurrentEncoder(self.vectors(), self.encoder_for_missing, on_progress, is_stopped) as beside:
            report = ingest_files(
                self.library,
                files,
                splitting=self.splitting_rules(),
                limits=self.limits,
                on_file_done=progress,
                on_progress=on_progress,
                on_stored=beside.take,
                is_stopped=is_stopped,
                n_readers=n_readers,
            )
            on_stage("encoding")
            encoded = beside.finish()
        if encoded.n_encoded:
            self.library.bump_vectors_revision()
        started = time.perf_counter()
        n_rest = 0 if is_stopped() else self.encode_missing()
        rest_s = time.perf_counter() - started if n_rest else 0.0
        on_stage("indexing")
        if self.serve:
            self.refresh()
        note = "removed" if remove_vanished else ""
        report += IngestReport(vanished=tuple((source, note) for source in gone))
        return report, replace(encoded, n_encoded=encoded.n_encoded + n_rest, encoding_s=encoded.encoding_s + rest_s)

    def encoder_for_missing(self) -> Encoder:
        """The one that answers, if that is of this version and complete; else one of its own."""
        live, current = self._live, self.current()
        if live and live.version.encoder_id == current.encoder_id and isinstance(live.retriever.encoder, Encoder):
            return live.retriever.encoder
        return super().encoder_for_missing()

    # ---- answering

    @property
    def active_retriever(self) -> ActiveRetriever:
        """What answers now."""
        if self._live is None:
            self.refresh()
        assert self._live is not None
        return self._live

    @property
    def retriever(self) -> Retriever:
        """The current version over the library as it is now."""
        return self.active_retriever.retriever

    def retriever_for(self, encoder_id: str, *, distinct: bool | None = None) -> Retriever:
        """A retriever for any version, searching exactly and without a reranker; for comparisons.

        Near-duplicates collapse as *distinct* says, else as the settings do.
        """
        version = self.registry.version(encoder_id)
        encoder, vectors = self.numpy_encoder(version.encoder_id), self.vectors(version.passage_side)
        return self._succession.retriever(version, encoder, ExactIndex(vectors), self.lexical(), distinct=distinct)

    @cached_property
    def stores(self) -> Stores:
        """What training and measuring are given of this application."""
        chosen = self.settings
        return Stores(
            data=chosen.data,
            engine=self.engine,
            library=self.library,
            feedback=self.feedback,
            registry=self.registry,
            current=self.current,
            open_encoder=self.open_encoder,
            vectors=self.vectors,
            lexical=self.lexical,
            served_lexical=lambda: self.active_retriever.lexical,
            encode_few=self._encode_few,
            exact_retriever=lambda encoder_id: self.retriever_for(encoder_id, distinct=False),
            answerer_with=self.answerer_with,
            chat_model=lambda: self.chat_model,
            writer=chosen.generator.model,
            index_url=chosen.index.url,
            k=chosen.retrieval.k,
            candidates=chosen.retrieval.candidates,
            collapses_duplicates=chosen.retrieval.distinct,
            base_model=chosen.encoder.model,
            precision=chosen.encoder.precision,
            threads=chosen.encoder.threads,
            trusted=chosen.feedback.trusted,
            quarantined=chosen.feedback.quarantined,
            max_judgments_per_person=chosen.feedback.max_judgments_per_person,
            seed=chosen.night.seed,
        )

    def _encode_few(self, encoder_id: str, questions: Sequence[str]) -> FloatArray:
        live = self.active_retriever.retriever.encoder
        encoder = live if live.encoder_id == encoder_id else self.numpy_encoder(encoder_id)
        return encoder.encode_queries(questions)

    @cached_property
    def answerer(self) -> Answerer:
        """The one call that the product exists for. Takes the retriever again for every question."""
        return self.answerer_with(lambda: self.retriever, generator_of(self.chat_model), self.feedback)

    def answerer_with(
        self,
        retriever: Callable[[], Retriever],
        generator: Generator,
        feedback: FeedbackStore,
        k: int = 0,
        threshold_for: Callable[[str], AbstentionThreshold] | None = None,
    ) -> Answerer:
        """Answers as the settings say, by other parts than those that serve; for measuring. *k* 0: as many as are shown.

        *threshold_for* gives another bar than the one that was found for a version.
        """
        model, within_s = self.chat_model, self.settings.generator.rewrite_s
        return Answerer(
            retriever,
            generator,
            self.library,
            feedback,
            k=k or self.settings.retrieval.k,
            rewrite_question=QueryRewriter(model, within_s).rewrite if model and within_s else None,
            drops_unsupported=self.settings.generator.unsupported == "drop",
            add_surrounding_text=self._widen if model else tuple,
            threshold_for=threshold_for
            or (lambda encoder_id: load_threshold(self.settings.data, encoder_id)),  # again: a night may move it
        )

    def _widen(self, hits: Sequence[Hit]) -> Sequence[Hit]:
        """The hits with as much of the text around them as the settings let a language model read."""
        return with_surrounding_text(self.engine, hits, self.settings.generator.around, MAX_PASSAGE_CHARACTERS)

    def refresh(self) -> bool:
        """Takes in a promotion, a rollback or a changed library; returns whether anything had changed.

        What answered goes on answering until its successor is ready; then one assignment switches.
        """
        changed = self._take_in_changes()
        if self.serve and not changed and self.active_retriever.today:  # not while somebody waits for the new version
            self.active_retriever.today.catch_up()
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
    """Opens the state directory, creating it if it is new; nobody but its owner may read it.

    *serve* is for the one process that answers for long: it takes the Chroma index under its lock.

    Raises:
        SettingsError: the state directory can't be made, or the database URL can't be read.
        NightjarError: the database can't be opened.
    """
    try:
        make_private_folder(settings.data)
        close_to_others(settings.data, thorough=serve)
    except OSError as error:
        raise SettingsError(
            f"the state directory {str(settings.data)!r} can't be made ({error.strerror}): "
            "name another one with --data or NIGHTJAR_DATA"
        ) from error
    return App(settings, open_database(settings.database_url), serve=serve)
