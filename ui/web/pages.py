"""The pages of the web application, put together: each is a route of its own, in one queue."""

from __future__ import annotations

import gradio as gr

from ui.background.startup import AppStartup
from ui.texts import shared as texts
from ui.web.chat.gradio_endpoints import MAX_CONCURRENT_ANSWERS
from ui.web.chat.page import fill_chat_page
from ui.web.components.signed_in_bar import add_signed_in_bar
from ui.web.insights.page import fill_insights_page
from ui.web.library.page import fill_documents_page
from ui.web.people.page import fill_people_page
from ui.web.training.negatives_page import fill_negatives_page
from ui.web.training.page import fill_training_page

SWEEP_S = (600, 3600)  # how often received files are looked through that nobody brought in, and how old they get


def build_pages(opening: AppStartup, n_cards: int, *, at_once: bool, accounts: bool = False) -> gr.Blocks:
    """All pages, ready to be mounted.

    *at_once*: votes count until tonight, and say so; *accounts*: each page says who is signed in.
    """
    with gr.Blocks(
        analytics_enabled=False, delete_cache=SWEEP_S, title=texts.TITLE, fill_width=True, fill_height=True
    ) as blocks:
        add_signed_in_bar(blocks, accounts=accounts)
        fill_chat_page(blocks, opening, n_cards, at_once=at_once)
    with blocks.route(texts.PAGES["documents"], "documents"):
        add_signed_in_bar(blocks, accounts=accounts)
        fill_documents_page(blocks, opening)
    with blocks.route(texts.PAGES["insights"], "insights"):
        add_signed_in_bar(blocks, accounts=accounts)
        fill_insights_page(blocks, opening)
    with blocks.route(texts.PAGES["training"], "training"):
        add_signed_in_bar(blocks, accounts=accounts)
        fill_training_page(blocks, opening)
    with blocks.route(texts.PAGES["negatives"], "negatives"):
        add_signed_in_bar(blocks, accounts=accounts)
        fill_negatives_page(blocks, opening)
    with blocks.route(texts.PAGES["people"], "people"):
        add_signed_in_bar(blocks, accounts=accounts)
        fill_people_page(blocks, opening, accounts=accounts)
    blocks.queue(default_concurrency_limit=MAX_CONCURRENT_ANSWERS, max_size=4 * MAX_CONCURRENT_ANSWERS)
    return blocks
