"""README.md's marked block: the answer, its picture, the verdicts, the networks beside their claims."""

from __future__ import annotations

from collections.abc import Sequence

from common.analysis import pooling
from common.analysis.answer import answer_of
from common.analysis.frames import Tables
from common.analysis.pooling import Group
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.model.zoo import ZOO
from common.report import answer, cells, gallery, plots, run_tables, verdict_tables
from common.report.gallery import NO_RUNS
from common.report.markdown import listed, markdown


def results_block(tables: Tables, link: str, *, benchmarks: str = "benchmarks.md") -> str:
    """The answer in sentences and in a picture, verdicts, the networks beside their claims, remarks.

    `link` is the address of the folder of the pictures, `benchmarks` that of the page of that name.
    """
    groups = pooling.groups(pooling.zoo_runs(tables.runs))
    if not groups:
        return NO_RUNS
    pictures = [picture for picture in plots.planned(tables) if picture.file == plots.ANSWER]
    parts = [
        answer.block(answer_of(tables)),
        *(f"{gallery.image(picture, link)}\n\n{picture.caption}" for picture in pictures),
        verdict_tables.summary_table(tables, benchmarks.partition("#")[0]),
        networks(groups),
        *_remarks(tables, groups, benchmarks),
    ]
    return "\n\n".join(filter(None, parts))


def networks(groups: Sequence[Group]) -> str:
    """A line for each network that has a verdict: its recipe, its accuracy in each framework, and its
    source's claim; empty without any."""
    by_model: dict[str, dict[str, Group]] = {}
    for group in pooling.largest_groups(groups):
        by_model.setdefault(group.model, {})[group.framework] = group
    unjudged = [f"`{model}`" for model in by_model if not ZOO[model].judged]
    rows = []
    for model, of_model in by_model.items():
        entry = ZOO[model]
        if not entry.judged:
            continue
        accuracies = (
            cells.accuracy(of_model[name], "accuracy", count=False) if name in of_model else "not run"
            for name in FRAMEWORKS
        )
        rows.append(
            [
                *(f"`{model}`", str(entry.recipe.batch_size), str(entry.recipe.epochs)),
                *(", ".join(accuracies), f"{entry.spec.parameters:,}", entry.claim),
            ]
        )
    names = ", ".join(display_name(name) for name in FRAMEWORKS)
    head = ["MODEL", "BATCHES", "EPOCHS", "ACCURACY", "PARAMS", "SOURCE'S CLAIM"]
    note = (
        f"BATCHES is images in a batch. ACCURACY ({names}) is on the 10,000 test images after the last "
        "epoch: mean ± sample standard deviation over seeds. Compare the numbers of one row only: different "
        "networks have different recipes."
    )
    if unjudged:
        note += (
            f" Run, but without a verdict and therefore not listed: {', '.join(unjudged)} (docs/sources.md)."
        )
    if not rows:
        return ""
    return f"{markdown(head, rows, right=(1, 2, 3, 4))}\n\n{note}"


def _remarks(tables: Tables, groups: Sequence[Group], benchmarks: str) -> list[str]:
    """Differing settings within a network, missing runs, and the number of runs outside the tables."""
    remarks = []
    differing = run_tables.differing(groups)
    if differing:
        remarks.append(f"{run_tables.DIFFERING}\n\n{listed(differing)}")
    present = {(group.model, group.framework.lower()) for group in groups}
    missing = [f"`{m}` in {display_name(f)}" for m in ZOO for f in PAIR if (m, f) not in present]
    if missing:
        remarks.append(f"Not run yet: {', '.join(missing)}.")
    shown = sum(len(group.runs) for group in groups)
    finished = int((tables.runs["status"] == "ok").sum())
    remarks.append(
        f"Runs of the zoo's recipes: {shown}. In [benchmarks.md]({benchmarks}): tests, times, memory, runs "
        f"with other settings or on other data ({finished - shown}) and unfinished ones "
        f"({len(tables.runs) - finished})."
    )
    return remarks
