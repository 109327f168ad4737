"""Annotated articles as one page for a browser: nothing is loaded from anywhere, and all text is only text."""

from nutgraf.html.page import article_html, close_page, legend, open_page, shown
from nutgraf.html.write import write_html

__all__ = ["article_html", "close_page", "legend", "open_page", "shown", "write_html"]
