"""What a page of the report refers to, and the data inside it."""

from __future__ import annotations

from html.parser import HTMLParser


class Addresses(HTMLParser):
    """Collects what a page refers to, and the data inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.data, self._inside = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self._inside = ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False
