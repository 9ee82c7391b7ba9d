"""The defaults of both frameworks side by side, as they were last recorded."""

from __future__ import annotations

import pandas as pd

from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.report.markdown import markdown


def side_by_side(defaults: pd.DataFrame) -> str:
    """Both frameworks' defaults as a table, with the versions they were read from."""
    snapshots = {framework: snapshot(defaults, framework) for framework in FRAMEWORKS}
    items = dict.fromkeys(item for values in snapshots.values() for item in values)
    if not items:
        return "Not read yet: `python -m common.bench defaults`."
    versions = defaults.groupby("framework")["framework_version"].last()
    sources = " and ".join(
        f"{display_name(name)} {versions[name]}" for name, values in snapshots.items() if values
    )
    note = (
        "What each framework does by default, read from the installed library: constants from its "
        "signatures, formulas from its results for numbers on which the candidates differ. Runs are pinned "
        f"to one definition of all of this unless `--native` hands a part back. Read from {sources}."
    )
    rows = [[item, *(values.get(item, "") for values in snapshots.values())] for item in items]
    return f"{note}\n\n{markdown(['DEFAULT', *(display_name(name).upper() for name in snapshots)], rows)}"


def differing(defaults: pd.DataFrame) -> tuple[int, int]:
    """In how many of the defaults that both frameworks of PAIR have their values differ, and how many these
    are."""
    first, second = (snapshot(defaults, framework) for framework in PAIR)
    both = first.keys() & second.keys()
    return sum(first[item] != second[item] for item in both), len(both)


def snapshot(defaults: pd.DataFrame, framework: str) -> dict[str, str]:
    """The defaults of a framework by item, as they were last recorded."""
    rows = defaults[defaults["framework"] == framework]
    last = rows[rows["sitting"] == rows["sitting"].max()]
    return dict(zip(last["item"], last["value"], strict=True))
