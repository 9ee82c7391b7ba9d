"""The rendered block of a page."""

from __future__ import annotations


def block(page: str, name: str) -> str:
    return page.split(f"<!-- {name}:begin -->")[1].split(f"<!-- {name}:end -->")[0]
