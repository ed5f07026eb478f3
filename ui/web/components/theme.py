"""How the page looks: colours of dusk, fonts that Gradio brings along, a style sheet for all pages and one for each."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

MAIN_STYLE_SHEET = Path(__file__).parents[1] / "assets" / "nightjar.css"
OTHER_STYLE_SHEETS = frozenset({"accounts.css", "plain.css"})
"""Sheets of whole pages of their own, which would change Gradio's."""
STYLE_SHEETS = [
    MAIN_STYLE_SHEET,
    *sorted(
        file
        for file in MAIN_STYLE_SHEET.parent.glob("*.css")
        if file != MAIN_STYLE_SHEET and file.name not in OTHER_STYLE_SHEETS
    ),
]
"""What all pages share, then what one page adds."""


def make_theme() -> gr.themes.Base:
    """Gradio's plainest theme in our colours, with fonts that are served from here: none is fetched."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.amber,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        # Regular and bold only: the half-bold files that Gradio 6.31 brings along lack ä, é and “.
        font=[gr.themes.LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"],
        radius_size=gr.themes.sizes.radius_md,
    )
    return theme.set(
        body_background_fill="#f6f6f3",
        body_background_fill_dark="#101430",
        body_text_color="#1d2340",
        body_text_color_dark="#e9eaf4",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        background_fill_secondary="#ecedf3",
        background_fill_secondary_dark="#1a1f3d",
        border_color_primary="#dfe1ea",
        border_color_primary_dark="#2e3459",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1a1f3d",
        color_accent_soft="#e3e6f4",
        color_accent_soft_dark="#2a3160",
        border_color_accent_subdued="#d3d8ee",
        border_color_accent_subdued_dark="#3a4280",
    )
