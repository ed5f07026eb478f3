"""Settings → opened parts: the library, its versions, and what they read, encode and write with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

from sqlalchemy import Engine

from rag.answering.conversations import Conversations
from rag.embedding.encoder import Encoder
from rag.embedding.numpy_encoder import NumpyEncoder
from rag.embedding.passage_vectors import PassageVectors
from rag.errors import EncoderError, SettingsError
from rag.feedback.feedback_store import FeedbackStore
from rag.generation.chat.chat_model import ChatModel
from rag.generation.generator import EXTRACTIVE
from rag.index.bm25 import Bm25Index
from rag.ingestion.ingest_jobs import IngestJobs
from rag.ingestion.remove_documents import DocumentRemoval
from rag.insights.document_listing import DocumentListing
from rag.library.library import Library
from rag.library.reread import mark_for_resplit
from rag.parsing.parser import ParsingLimits
from rag.retrieval.cross_encoder import CrossEncoder
from rag.retrieval.reranker import Reranker
from rag.settings import Settings
from rag.splitting.splitter import SplittingRules
from rag.splitting.token_offsets import PassageTokenizer
from rag.versions.install_base import install_base
from rag.versions.registry import Version, VersionRegistry

log = logging.getLogger(__name__)

AnyEncoder = Encoder | NumpyEncoder


class Components:
    """One state directory, opened, before anything answers from it."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine
        self.library = Library(engine)
        self.feedback = FeedbackStore(engine)
        self.conversations = Conversations(self.library)
        self.jobs = IngestJobs(engine)
        self.registry = VersionRegistry(engine, settings.data)
        self.removal = DocumentRemoval(self.library, self.registry, self.feedback)
        self.tell: Callable[[str], None] = log.info
        """Gets the stages of what takes long, as sentences."""

    @property
    def limits(self) -> ParsingLimits:
        """What reading one file may cost, and whether pages that are pictures are recognised."""
        parsing = self.settings.parsing
        languages = parsing.ocr_languages if parsing.ocr == "auto" else ""
        return ParsingLimits(ocr_languages=languages, ocr_s=parsing.ocr_s)

    # ---- versions and their parts

    def current(self) -> Version:
        """The version that answers; the base is installed first if there is none, or where the settings changed it."""
        encoder, weight = self.settings.encoder, self.settings.retrieval.lexical_weight
        install_base(self.registry, encoder.model, encoder.max_tokens, weight)
        return self.registry.current()

    def numpy_encoder(self, encoder_id: str) -> AnyEncoder:
        """The encoder of a version for a few texts in a process that then ends."""
        version = self.registry.version(encoder_id)
        try:
            return NumpyEncoder.open(version.folder, encoder_id=version.encoder_id)
        except EncoderError as error:
            log.info("no quick encoder (%s)", error)
            return self.open_encoder(encoder_id)

    def open_encoder(self, encoder_id: str | None = None) -> Encoder:
        """The encoder of a version, the current one by default."""
        version = self.registry.version(encoder_id) if encoder_id else self.current()
        encoder = self.settings.encoder
        return Encoder.open(
            version.folder, encoder_id=version.encoder_id, precision=encoder.precision, threads=encoder.threads
        )

    def vectors(self, passage_side: str | None = None) -> PassageVectors:
        """The vectors of a passage side, the current one's by default."""
        return PassageVectors(self.engine, passage_side or self.current().passage_side)

    def document_listing(self) -> DocumentListing:
        """The documents as people look them over, by the vectors that searches use now."""
        return DocumentListing(self.engine, self.current().passage_side)

    def lexical(self, before: Bm25Index | None = None) -> Bm25Index:
        """BM25 over the library as it is now: *before*, or else what was saved, and only what changed since is read."""
        return Bm25Index.open(
            self.settings.data / "lexical", self.library.text_hashes(), self.library.iterate_by_ids, before
        )

    def splitting_rules(self) -> SplittingRules:
        """How documents are cut: by the tokens of the encoder, which must be able to read title, headings and text.

        For those who ingest then: what other settings cut is marked to be read again.
        """
        encoder, most = self.settings.encoder, self.settings.passages.max_tokens
        tokens = PassageTokenizer(self.current().folder)
        if mark_for_resplit(self.engine, f"{most} of {encoder.max_tokens}, {encoder.model}"):
            self.tell(
                "passages.max_tokens or the encoder has changed: files that are ingested now are cut anew, and "
                "passages that become others lose their verdicts"
            )
        return SplittingRules(most, encoder.max_tokens - tokens.n_overhead_tokens, tokens.starts)

    def n_missing_vectors(self) -> int:
        """How many texts the current version has not encoded yet."""
        return self.vectors().missing()

    def encode_missing(self, progress: Callable[[int], None] = lambda n: None) -> int:
        """Encodes what the current version has not encoded yet; returns how many texts."""
        vectors = self.vectors()
        if not vectors.missing():
            return 0
        n_encoded = vectors.fill(self.encoder_for_missing(), progress)
        self.library.bump_vectors_revision()
        return n_encoded

    def encoder_for_missing(self) -> Encoder:
        """The current version's, with its weights loaded: that is told apart from the encoding."""
        encoder = self.open_encoder()
        _ = encoder.model
        return encoder

    # ---- what the settings may name

    @cached_property
    def reranker(self) -> Reranker | None:
        """What reads the first hits once more, if the settings name it.

        Raises:
            EncoderError: the folder that they name is no cross-encoder.
        """
        chosen = self.settings.retrieval
        if chosen.reranker is None:
            return None
        reader = CrossEncoder(chosen.reranker, threads=self.settings.encoder.threads)
        return Reranker(reader=reader, k=chosen.rerank_k, budget_s=chosen.rerank_s)

    @cached_property
    def chat_model(self) -> ChatModel | None:
        """The language model that the settings name; None if answers are quoted.

        Raises:
            SettingsError: there is none of this name, or what it needs is not installed.
        """
        chosen = self.settings.generator
        if chosen.model == EXTRACTIVE:
            return None
        return ChatModel.open(
            chosen.model,
            base_url=chosen.base_url,
            api_key=chosen.api_key,
            connect_s=chosen.connect_s,
            silence_s=chosen.silence_s,
            timeout_s=chosen.timeout_s,
            max_tokens=chosen.max_tokens,
            retries=chosen.retries,
            rest_after=chosen.rest_after,
            rest_s=chosen.rest_s,
            tell=self.tell,
        )

    @cached_property
    def judge_model(self) -> ChatModel | None:
        """The language model that judges answers when they are measured; None if the settings name none.

        Raises:
            SettingsError: there is none of this name, or what it needs is not installed.
        """
        chosen = self.settings.judge
        if chosen.model is None:
            return None
        try:
            return ChatModel.open(
                chosen.model,
                base_url=chosen.base_url,
                api_key=chosen.api_key,
                timeout_s=chosen.timeout_s,
                tell=self.tell,
            )
        except SettingsError as error:
            raise SettingsError(str(error).replace("generator.", "judge.")) from None
