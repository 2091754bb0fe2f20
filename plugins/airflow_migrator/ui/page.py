"""From markdown to a page that stands alone: no script, no link, nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; form-action 'self'"
"""Content-Security-Policy of every answer."""
REFRESH_SECONDS = 10
DIFF = {"+": "added", "-": "dropped", "~": "changed"}


def page(title: str, markdown: str, *, refresh: bool = False, form: str = "") -> str:
    """
    :param form: HTML of ours, above the text.
    :param refresh: the run goes on, so the page is to be loaded again now and then.
    """
    again = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if refresh else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{again}<title>{html.escape(title)}</title>'
        f"<style>{_style()}</style></head><body>{form}{_renderer().render(markdown)}</body></html>"
    )


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


@cache
def _renderer() -> MarkdownIt:
    """Without HTML of the text's own, links or images: what is shown was written by many people."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
    renderer.add_render_rule("fence", _fence)
    return renderer


def _fence(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    language = html.escape(token.info.strip())
    lines = (_diff_line(line) if language == "diff" else html.escape(line) for line in token.content.splitlines())
    return f'<pre class="{language}"><code>' + "\n".join(lines) + "</code></pre>\n"


def _diff_line(line: str) -> str:
    kind = DIFF.get(line[:1])
    shown = html.escape(line)
    return f'<span class="{kind}">{shown}</span>' if kind else shown
