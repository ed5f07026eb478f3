"""The page of insights: how the answers do, and what votes did."""

from __future__ import annotations

import gradio as gr

from ui.opening import Opening
from ui.web import texts
from ui.web.evidence import page_links


class InsightsPage:
    """The components of the page and what happens to them. Made once, inside the Blocks that are open."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        with gr.Row(elem_classes="nj-top"):
            gr.Markdown(f"# {texts.INSIGHTS_TITLE}\n{texts.INSIGHTS_TAGLINE}", elem_classes="nj-brand")
            page_links("insights")

    def listen(self, blocks: gr.Blocks) -> None:
        """Connects the components with what happens."""


def fill_insights_page(blocks: gr.Blocks, opening: Opening) -> None:
    """Makes the page inside *blocks*, which are open."""
    InsightsPage(opening).listen(blocks)
