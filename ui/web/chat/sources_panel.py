"""The column next to the chat: the passages of one answer as cards, and the buttons to judge them by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from rag.records import Answer, Citation, Hit
from ui.actions.give_verdict import verdict_notice
from ui.auth.current_user import current_user
from ui.texts import chat as said
from ui.texts import shared as texts
from ui.web.chat.render_card import render_card, render_removed_card

Updates = dict[Any, Any]
VotesByPassage = Mapping[str | None, str]
"""What the person says of a turn: passage id, or None for the answer → verdict."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceCard:
    """The place of one card. All of them are made with the page, and filled or hidden later."""

    box: Any
    card: Any
    buttons: Mapping[str, Any]
    """Verdict → its button."""
    note: Any
    open: Any
    """The button that shows the document around the passage, and hides it again."""
    document: Any
    at_once: bool
    """Whether votes count until tonight."""

    @classmethod
    def make(cls, *, at_once: bool) -> SourceCard:
        """An empty, hidden place, inside the Gradio container that is open."""
        with gr.Column(visible=False, elem_classes="nj-card", min_width=0) as box:
            text = html_block()
            with gr.Row(elem_classes="nj-votes"):
                buttons = {verdict: vote_button(label, verdict) for verdict, label in texts.PASSAGE_BUTTONS.items()}
                opener = vote_button(said.OPEN, "open")
            note = note_line()
            document = gr.Markdown(
                visible=False, sanitize_html=True, latex_delimiters=[], header_links=False, elem_classes="nj-around"
            )
        return cls(box=box, card=text, buttons=buttons, note=note, open=opener, document=document, at_once=at_once)

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [self.box, self.card, *self.buttons.values(), self.note, self.open, self.document]

    @property
    def around(self) -> list[Any]:
        """What opening the document changes."""
        return [self.open, self.document]

    def fill(
        self, hit: Hit, citations: Sequence[Citation], stands: str | None, *, open_to_votes: bool, removed: bool = False
    ) -> Updates:
        """Shows one passage; of one that was *removed* since, that it was."""
        updates = {
            self.box: gr.update(visible=True),
            self.card: render_removed_card(hit) if removed else render_card(hit, citations),
            self.open: gr.update(value=said.OPEN, visible=not removed),
            self.document: gr.update(value="", visible=False),
        }
        return updates | self._pressed(stands, open_to_votes=open_to_votes and not removed)

    def opened(self, shown: str) -> Updates:
        """Shows the document, given as HTML, below the card; nothing closes it."""
        label = said.CLOSE if shown else said.OPEN
        return {self.document: gr.update(value=shown, visible=bool(shown)), self.open: gr.update(value=label)}

    def judged(self, stands: str | None) -> Updates:
        """Shows what the person says of it now."""
        return self._pressed(stands, open_to_votes=True)

    def _pressed(self, stands: str | None, *, open_to_votes: bool) -> Updates:
        promise = verdict_notice(stands, boosts_immediately=self.at_once)
        return render_vote_buttons(
            self.buttons, texts.PASSAGE_BUTTONS, self.note, stands, promise, open_to_votes=open_to_votes
        )


class SourcesPanel:
    """All cards, below their heading."""

    def __init__(self, n_cards: int, *, at_once: bool) -> None:
        self.heading = gr.Markdown(texts.EVIDENCE, elem_classes="nj-heading")
        self.empty = gr.Markdown(texts.NO_EVIDENCE, elem_classes="nj-quiet")
        self.cards = [SourceCard.make(at_once=at_once) for _ in range(n_cards)]

    @property
    def parts(self) -> list[Any]:
        """Every component that updates may name."""
        return [self.heading, self.empty, *(part for slot in self.cards for part in slot.parts)]

    def render_hits(self, hits: Sequence[Hit]) -> Updates:
        """The passages found, before the answer is written; votes wait for the answer."""
        return self._filled(hits, (), {}, open_to_votes=False)

    def answered(
        self, answer: Answer, standing: VotesByPassage, *, removed: Collection[str] = (), open_to_votes: bool = True
    ) -> Updates:
        """The passages with the quoted stretches marked, and what the person says of them.

        *removed* are ids of those that are no longer in the library.
        """
        heading = texts.CLOSEST if answer.declined and answer.hits else texts.EVIDENCE
        filled = self._filled(answer.hits, answer.citations, standing, open_to_votes=open_to_votes, removed=removed)
        return filled | {self.heading: heading}

    def clear(self) -> Updates:
        """No passages, before the first question."""
        return self._filled((), (), {}, open_to_votes=False) | {
            self.heading: texts.EVIDENCE,
            self.empty: gr.update(value=texts.NO_EVIDENCE, visible=True),
        }

    def _filled(
        self,
        hits: Sequence[Hit],
        citations: Sequence[Citation],
        standing: VotesByPassage,
        *,
        open_to_votes: bool,
        removed: Collection[str] = (),
    ) -> Updates:
        updates: Updates = {self.empty: gr.update(value=texts.NO_PASSAGES, visible=not hits)}
        for index, slot in enumerate(self.cards):
            if index < len(hits):
                one = hits[index].passage.passage_id
                updates |= slot.fill(
                    hits[index], citations, standing.get(one), open_to_votes=open_to_votes, removed=one in removed
                )
            else:
                updates[slot.box] = gr.update(visible=False)
        return updates


# ---- the pieces that cards and the answer's own row share


def page_links(current: str) -> None:
    """The way from page to page; addresses are relative, so that a proxy may serve them below a path of its own.

    Buttons, for Gradio 6.31 opens the links of a gr.Markdown in a new tab. The page of people is for administrators.
    """
    links = {}
    with gr.Row(elem_classes="nj-pages"):
        for path, name in texts.PAGES.items():
            here = ["nj-here"] if path == current else []
            links[path] = gr.Button(
                name,
                link=path or "./",
                size="sm",
                min_width=0,
                visible=path != "people",
                elem_classes=["nj-page-link", *here],
            )
    gr.on(
        None, show_people_link, None, [links["people"]], api_visibility="private", show_progress="hidden", queue=False
    )


def show_people_link(request: gr.Request) -> Any:
    """Shows the way to the page of people to those who may go it."""
    return gr.update(visible=current_user(request).may("administrator"))


def html_block() -> gr.Markdown:
    """A place for HTML of `ui.web.chat.render_card`, which is sanitised once more in the browser.

    Not gr.HTML: that evaluates its template in the page, which a strict CSP forbids.
    """
    return gr.Markdown(sanitize_html=True, latex_delimiters=[], header_links=False)


def vote_button(label: str, kind: str) -> gr.Button:
    """A small button that can be pressed and released; *kind* names its icon in the style sheet."""
    return gr.Button(label, size="sm", variant="secondary", min_width=0, elem_classes=["nj-vote", f"nj-{kind}"])


def note_line() -> gr.Markdown:
    """The line that says what a vote will do; announced by screen readers."""
    return gr.Markdown(visible=False, elem_classes="nj-note")


def render_vote_buttons(
    buttons: Mapping[str, Any],
    labels: Mapping[str, str],
    note: gr.Markdown,
    stands: str | None,
    promise: str,
    *,
    open_to_votes: bool = True,
) -> Updates:
    """The buttons with the standing verdict pressed, and the promise it earns, if it is that of a button."""
    updates: Updates = {
        button: gr.update(
            value=labels[verdict] + (texts.PRESSED if verdict == stands else ""),
            variant="primary" if verdict == stands else "secondary",
            interactive=open_to_votes,
        )
        for verdict, button in buttons.items()
    }
    line = f"{promise} {texts.TAKE_BACK}" if stands in buttons else ""
    return updates | {note: gr.update(value=line, visible=bool(line))}
