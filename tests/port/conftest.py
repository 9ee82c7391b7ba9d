"""The two processes that compare models, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.port.workers import Workers


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers() as both:
        yield both
