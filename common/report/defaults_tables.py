"""The defaults of both frameworks side by side, as they were last recorded."""

from __future__ import annotations

import pandas as pd

from common.frameworks import FRAMEWORKS, display_name
from common.report.markdown import markdown


def side_by_side(defaults: pd.DataFrame) -> str:
    """Both frameworks' defaults, with the versions that were asked."""
    sides = {framework: snapshot(defaults, framework) for framework in FRAMEWORKS}
    items = dict.fromkeys(item for side in sides.values() for item in side)
    if not items:
        return "Not read yet: `python -m common.bench defaults`."
    versions = defaults.groupby("framework")["framework_version"].last()
    asked = " and ".join(f"{display_name(name)} {versions[name]}" for name, side in sides.items() if side)
    note = (
        "What each framework does when nothing is said, read from the installed library: constants from its "
        "signatures, formulas from what it does with numbers that tell them apart. Runs are pinned to one "
        f"definition of all this unless `--native` says otherwise. Read from {asked}."
    )
    rows = [[item, *(side.get(item, "") for side in sides.values())] for item in items]
    return f"{note}\n\n{markdown(['OF', *(display_name(name).upper() for name in sides)], rows)}"


def snapshot(defaults: pd.DataFrame, framework: str) -> dict[str, str]:
    """The defaults of a framework as they were last recorded."""
    mine = defaults[defaults["framework"] == framework]
    last = mine[mine["sitting"] == mine["sitting"].max()]
    return dict(zip(last["item"], last["value"], strict=True))
