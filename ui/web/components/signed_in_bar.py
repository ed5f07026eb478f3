"""The line above every page that says who is signed in, and leads out."""

from __future__ import annotations

import gradio as gr

from ui.auth.current_user import current_user
from ui.texts import accounts as texts


def add_signed_in_bar(blocks: gr.Blocks, *, accounts: bool) -> None:
    """Makes the line inside *blocks*, which are open; nothing if nobody has an account.

    Buttons, as in `page_links`; their addresses are relative too.
    """
    if not accounts:
        return
    with gr.Row(elem_classes="nj-person"):
        name = gr.Button("…", link="account", size="sm", min_width=0, elem_classes="nj-page-link")
        gr.Button(texts.SIGN_OUT, link="sign-out", size="sm", min_width=0, elem_classes="nj-page-link")
    blocks.load(signed_in_text, None, [name], api_visibility="private", show_progress="hidden", queue=False)


def signed_in_text(request: gr.Request) -> str:
    """Name and role of the person whose page it is."""
    person = current_user(request)
    return f"{person.name} · {person.role}"
