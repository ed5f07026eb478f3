"""The JSON of answers, searches and documents: one place for `--json` and for the REST interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag.records import Answer, Citation, Hit, Passage

if TYPE_CHECKING:
    from rag.answering.answerer import SearchFinished
    from rag.feedback.passage_tallies import PassageTally
    from rag.ingestion.ingest_jobs import IngestJob
    from rag.ingestion.progress import FileProgress
    from rag.ingestion.remove_documents import RemovalCounts
    from rag.insights.document_listing import ListedDocument
    from rag.insights.knowledge_gaps import KnowledgeGap
    from rag.retrieval.retriever import SearchResult


def answer_json(answer: Answer) -> dict[str, Any]:
    """Returns what `nightjar ask --json` prints; passages are named by their BEIR id if they have document.

    "question" is what was searched for: it differs from "asked" if a follow-up was rewritten to stand alone.
    """
    public_ids = {hit.passage.passage_id: hit.passage.public_id for hit in answer.hits}
    return {
        "turn_id": answer.turn_id,
        "asked": answer.asked,
        "question": answer.question,
        "answer": answer.text,
        "declined": answer.declined,
        "reason": answer.reason,
        "encoder_id": answer.encoder_id,
        "citations": [_citation_json(citation, public_ids[citation.passage_id]) for citation in answer.citations],
        "sentences": [
            {"text": sentence.text, "support": sentence.support, "found": sentence.found}
            for sentence in answer.sentences
        ],
        "supported_share": answer.supported_share,
        "rerank_cut": answer.rerank_is_cut,
    }


def search_result_json(result: SearchResult) -> dict[str, Any]:
    """Returns what `nightjar search --json` prints, best first; `rerank_cut` is true if the reranker ran out of time."""
    return {"hits": [_hit_json(hit) for hit in result.hits], "rerank_cut": result.rerank_is_cut}


def search_event_json(searched: SearchFinished) -> dict[str, Any]:
    """Returns what is known of an answer before its first word: the question as it was searched, and the hits."""
    return {
        "turn_id": searched.turn_id,
        "question": searched.question,
        "encoder_id": searched.encoder_id,
        "seconds": searched.seconds,
        "hits": [_hit_json(hit) for hit in searched.hits],
    }


def job_json(job: IngestJob) -> dict[str, Any]:
    """Returns one ingest: state, stage, and how many of its files are at which stage."""
    return {
        "job_id": job.job_id,
        "state": job.state,
        "stage": job.stage,
        "door": job.door,
        "paths": list(job.asked.paths),
        "remove_vanished": job.asked.remove_vanished,
        "note": job.note,
        "n_starts": job.n_starts,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "files": dict(job.files),
        "n_passages": job.n_passages,
        "n_encoded": job.n_encoded,
    }


def file_progress_json(step: FileProgress) -> dict[str, Any]:
    """Returns the progress of one file."""
    return {
        "source": step.source,
        "stage": step.stage,
        "note": step.note,
        "n_passages": step.n_passages,
        "n_encoded": step.n_encoded,
    }


def removal_json(removed: RemovalCounts) -> dict[str, Any]:
    """Returns what was removed with a document, and which versions learned from it."""
    return {
        "n_documents": removed.n_documents,
        "n_passages": removed.n_passages,
        "n_verdicts": removed.n_verdicts,
        "versions": list(removed.was_trained_on),
    }


def document_json(document: ListedDocument) -> dict[str, Any]:
    """Returns a listed document; "verdicts" are on its passages, and "cited" counts the answers that cite them."""
    return {
        "document_id": document.document_id,
        "source": document.source,
        "title": document.title,
        "media_type": document.media_type,
        "n_passages": document.n_passages,
        "n_characters": document.n_characters,
        "added_at": document.added_at,
        "state": document.state,
        **_tally_json(document.tally),
    }


def passage_with_tally_json(passage: Passage, tally: PassageTally) -> dict[str, Any]:
    """Returns a passage of a document, its position in the stored text, its verdicts and its citations."""
    return {
        "passage_id": passage.public_id,
        "heading": passage.heading,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        **_tally_json(tally),
    }


def _tally_json(tally: PassageTally) -> dict[str, Any]:
    verdicts = {"helpful": tally.helpful, "not_relevant": tally.not_relevant, "outdated": tally.outdated}
    return {"verdicts": verdicts, "cited": tally.cited}


def gap_json(gap: KnowledgeGap, closest: Passage | None) -> dict[str, Any]:
    """Returns a group of questions that found nothing, without the names of those who asked."""
    return {
        "name": gap.name,
        "questions": list(gap.questions),
        "n_asked": gap.n_asked,
        "n_people": gap.n_people,
        "last_at": gap.last_at,
        "closest": {"passage_id": closest.public_id, "source": closest.source, "cosine": gap.cosine}
        if closest
        else None,
    }


MAX_NAMED_SOURCES = 3  # this many sources of near-duplicates are named; the others are counted


def format_duplicate_sources(hit: Hit) -> list[str]:
    """Returns the other sources of a hit's text, and how many more there are."""
    sources = [
        f"{duplicate.source}, page {duplicate.page}" if duplicate.page else duplicate.source
        for duplicate in hit.also_in
    ]
    different = list(dict.fromkeys(sources))
    n_more = len(different) - MAX_NAMED_SOURCES
    return different[:MAX_NAMED_SOURCES] + ([f"{n_more} more"] if n_more > 0 else [])


def _citation_json(citation: Citation, public_id: str) -> dict[str, Any]:
    return {
        "n": citation.n,
        "passage_id": public_id,
        "source": citation.source,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "support": citation.support,
        "found": citation.found,
    }


def _hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "passage_id": hit.passage.public_id,
        "source": hit.passage.source,
        "title": hit.passage.title,
        "text": hit.passage.text,
        "score": hit.score,
        "dense": hit.dense,
        "lexical": hit.lexical,
        "today": hit.feedback_boost,
        "rerank": hit.rerank,
        "also_in": [
            {"passage_id": duplicate.public_id, "source": duplicate.source, "page": duplicate.page}
            for duplicate in hit.also_in
        ],
    }
