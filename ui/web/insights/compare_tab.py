"""Two versions on one question, side by side: by name, or hidden and judged; and a pin that a person may make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from eval.statistics.sign_test import describe_preference
from rag.answering.answerer import MAX_QUESTION_LENGTH, check_question
from rag.app.app import App
from rag.insights.blind_comparisons import BlindComparison, BlindComparisons, are_same_ranking, rank_moves
from rag.records import Hit
from rag.versions.registry import Version
from rag.versions.version_labels import short_version_name
from ui.actions.compare import (
    choose_two_versions,
    comparable_versions,
    pin_from_comparison,
    search_version,
    version_full_names,
)
from ui.auth.current_user import CurrentUser, current_user
from ui.background.startup import AppStartup
from ui.html.environment import strip_control_characters
from ui.texts import insights as words
from ui.web.chat.sources_panel import html_block
from ui.web.components.escape import passage_title
from ui.web.components.handler_errors import Updates, run_handler
from ui.web.insights.render import render_comparison

COMPARE_EVENT: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "insights",
    "api_visibility": "private",
    "show_progress": "hidden",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenComparison:
    """What a person looks at, kept on the server: the browser is not told which version is on which side."""

    blind: BlindComparison
    first_id: str
    """The version that is named first, as soon as names are told: what moved is told from it to the other."""
    left: Sequence[Hit]
    right: Sequence[Hit]
    preferred: Version | None = None
    """Once it is judged, and one side is better."""


class CompareTab:
    """The components of the tab and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: AppStartup) -> None:
        self._opening = opening
        with gr.Row(elem_classes="nj-pick", equal_height=True):
            self.question = gr.Textbox(
                label=words.COMPARE_QUESTION,
                placeholder=words.COMPARE_PLACEHOLDER,
                lines=1,
                max_lines=3,
                max_length=MAX_QUESTION_LENGTH,
                submit_btn=words.COMPARE,
                scale=3,
                elem_classes="nj-look",
            )
            self.first, self.second = (
                gr.Dropdown(label=label, choices=[], value=None, scale=1, min_width=150, elem_classes="nj-offered")
                for label in (words.FIRST, words.SECOND)
            )
        self.hide = gr.Checkbox(label=words.BLIND, value=True, elem_classes="nj-blind")
        self.status = gr.Markdown(words.COMPARE_BEGIN, latex_delimiters=[], elem_classes="nj-quiet")
        with gr.Row(visible=False, elem_classes="nj-votes nj-which") as self.which:
            gr.Markdown(words.WHICH, elem_classes="nj-heading")
            self.better = {
                side: gr.Button(label, size="sm", min_width=0, elem_classes=["nj-vote", f"nj-side-{side}"])
                for side, label in words.BETTER.items()
            }
        self.result = gr.Markdown(visible=False, latex_delimiters=[], elem_classes="nj-result")
        with gr.Row(visible=False, elem_classes="nj-votes nj-offer-pin") as self.offer:
            self.why = gr.Markdown(words.OFFER_WHY, elem_classes="nj-quiet")
            self.pin = gr.Button(size="sm", min_width=0, elem_classes=["nj-vote", "nj-pin"])
        self.found = html_block()
        self.open = gr.State(None)

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""
        shown = [
            self.first,
            self.second,
            self.hide,
            self.status,
            self.which,
            self.result,
            self.offer,
            self.pin,
            self.found,
            self.open,
        ]
        asked = [self.question, self.first, self.second, self.hide]
        blocks.load(self.offer_versions, None, shown, **COMPARE_EVENT)
        self.question.submit(self.compare, asked, shown, **COMPARE_EVENT)
        for side, button in self.better.items():
            button.click(self._judging(side), [self.open], shown, **COMPARE_EVENT)
        self.pin.click(self.make_pin, [self.open], shown, **COMPARE_EVENT)

    def offer_versions(self, request: gr.Request) -> Updates:
        """The versions to choose from: the current one, and the one before it."""

        def offered(app: App, person: CurrentUser) -> Updates:
            called = version_full_names(app)
            versions = comparable_versions(app)
            if len(versions) < 2:
                return {self.status: words.ONE_VERSION}
            choices = [
                (
                    (words.EARLIER if index else words.CURRENT).format(
                        name=called[version.encoder_id], day=f"{version.created_at:%Y-%m-%d}"
                    ),
                    version.encoder_id,
                )
                for index, version in enumerate(versions)
            ]
            return {
                self.first: gr.update(choices=choices, value=versions[1].encoder_id),
                self.second: gr.update(choices=choices, value=versions[0].encoder_id),
                self.hide: gr.update(value=person.may("voter"), interactive=person.may("voter")),
            }

        return self._done(request, offered)

    def compare(
        self, question: str | None, first: str | None, second: str | None, hide: bool, request: gr.Request
    ) -> Iterator[Updates]:
        """Says that it is asking, then shows both rankings."""
        if not (question or "").strip():
            return
        assert question is not None
        closed = {
            self.which: gr.update(visible=False),
            self.result: gr.update(visible=False),
            self.offer: gr.update(visible=False),
            self.found: "",
            self.open: None,
        }
        yield {self.status: words.COMPARING} | closed
        yield self._done(
            request,
            lambda app, person: self._compared(
                app, person, question=check_question(question), first=first, second=second, hide=hide
            ),
        )

    def _compared(
        self, app: App, person: CurrentUser, question: str, first: str | None, second: str | None, hide: bool
    ) -> Updates:
        a, b = choose_two_versions(app, first, second)
        is_blind = hide and person.may("voter")
        blind = BlindComparison("", question, a.encoder_id, b.encoder_id)
        if is_blind:
            blind = BlindComparisons(app.engine, app.feedback).begin(question, a.encoder_id, b.encoder_id)
        left, right = (
            search_version(app, app.registry.version(version_id), question)
            for version_id in (blind.left_id, blind.right_id)
        )
        seen = OpenComparison(blind=blind, first_id=a.encoder_id, left=left, right=right)
        if not is_blind or are_same_ranking(left, right):
            status = words.ALIKE if are_same_ranking(left, right) else ""
            return {self.status: status} | self._named(app, seen, judged=False)
        shown = render_comparison((words.LEFT, rank_moves(left, right)), (words.RIGHT, rank_moves(right, left)))
        return {self.status: "", self.found: shown, self.which: gr.update(visible=True), self.open: seen}

    def _named(self, app: App, seen: OpenComparison, *, judged: bool) -> Updates:
        """Both rankings by name, the first one left, and what people preferred so far."""
        called, blind = version_full_names(app), seen.blind
        left, right = called[blind.left_id], called[blind.right_id]
        line = describe_preference(
            BlindComparisons(app.engine, app.feedback).preferred(blind.left_id, blind.right_id), left, right
        )
        sides = [
            (short_version_name(left), rank_moves(seen.left, seen.right)),
            (short_version_name(right), rank_moves(seen.right, seen.left)),
        ]
        headings = [left, right]
        if judged:
            line = words.REVEALED.format(left=left, right=right, told=line)
            headings = [words.WAS[side].format(name=name) for side, name in zip(words.WAS, headings, strict=True)]
        if blind.left_id != seen.first_id:
            sides.reverse()
            headings.reverse()
        columns = render_comparison(sides[0], sides[1], (headings[0], headings[1]))
        return {
            self.found: columns,
            self.result: gr.update(value=line, visible=True),
            self.which: gr.update(visible=False),
        }

    def _judging(self, side: str) -> Callable[..., Updates]:
        def judge(seen: OpenComparison | None, request: gr.Request) -> Updates:
            """Keeps which side is better, then tells the names."""
            return self._done(request, lambda app, person: self._judged(app, person, seen, side))

        return judge

    def _judged(self, app: App, person: CurrentUser, seen: OpenComparison | None, side: str) -> Updates:
        person.require_role("voter")
        if seen is None or not seen.blind.comparison_id:
            return {}
        BlindComparisons(app.engine, app.feedback).record(seen.blind, person.name, side)
        hits, others = (seen.left, seen.right) if side == "left" else (seen.right, seen.left)
        updates = self._named(app, seen, judged=True)
        if side == "equal" or not hits or (others and hits[0].passage.passage_id == others[0].passage.passage_id):
            return updates | {self.open: None}
        preferred = app.registry.version(seen.blind.left_id if side == "left" else seen.blind.right_id)
        label = words.OFFER_PIN.format(title=strip_control_characters(passage_title(hits[0].passage)))
        return updates | {
            self.offer: gr.update(visible=True),
            self.pin: gr.update(value=label, visible=True),
            self.open: replace(seen, preferred=preferred),
        }

    def make_pin(self, seen: OpenComparison | None, request: gr.Request) -> Updates:
        """Pins the passage that the preferred version puts first."""

        def pinned(app: App, person: CurrentUser) -> Updates:
            person.require_role("voter")
            if seen is None or seen.preferred is None:
                return {}
            hits = seen.left if seen.preferred.encoder_id == seen.blind.left_id else seen.right
            pin_from_comparison(app, person.name, seen.blind.question, seen.preferred, hits)
            return {self.offer: gr.update(visible=False), self.status: words.PINNED, self.open: None}

        return self._done(request, pinned)

    def _done(self, request: gr.Request, act: Callable[[App, CurrentUser], Updates]) -> Updates:
        """What the act shows, or why it can't be."""
        return run_handler(
            lambda: act(self._opening.app(), current_user(request)),
            lambda why: {self.status: why},
            what="comparing two versions",
            failed=words.FAILED,
        )
