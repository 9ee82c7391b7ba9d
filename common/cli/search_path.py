"""A command's module search path. Imports nothing that a file in the current folder could shadow."""

from __future__ import annotations

import os
import sys


def leave_current_folder() -> None:
    """Put the project's folder in the place of the current one, which `python -m` has first on the path.

    A file there named as a module of a library, beside a network's, would be imported in its place; and a
    network's file could import its neighbours in this process, and not in the scripts that it starts.
    """
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
