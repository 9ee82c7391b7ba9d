"""The explorer's page: HTML tables that need no JavaScript, the data of the curves as JSON, and the scripts.

Vega-Lite draws the charts: axes, scales, legends, tooltips and SVG are its own, so what is left to write are
specifications. Its minified code comes with vl-convert-python, one wheel for each system without requirements
of its own; Altair would be a second way to write the same specifications, which change in the browser with
what is chosen. Bokeh draws on a canvas, which is coarse in print, and Plotly alone has twice the size of this
page. The page's own security policy lets no script run but these and lets none reach the network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template

from common.analysis.answer import answer_of
from common.analysis.frames import Tables, apart
from common.analysis.significance import MARGIN
from common.report import answer, own_networks
from common.report.explorer import tables as explorer_tables
from common.report.explorer.curves import curves
from common.report.explorer.tables import FIRST, SECOND, Heading, Table

FOLDER = Path(__file__).parent
BASE = FOLDER / "base.css"
"""Colours and letters, which the demo's page shares."""

OWN_LINK = ' <a href="#own-title">Your networks</a>'
OWN_SECTION = Template(
    """<section data-table="own" aria-labelledby="own-title">
<h2 id="own-title" tabindex="-1">Your networks</h2>
$table
</section>"""
)
"""Present where the tables have networks of users' own files."""

STYLES = (BASE, FOLDER / "style.css")
SCRIPTS = ("table.js", "charts.js", "script.js")


class LibraryError(Exception):
    """The charts' library is not installed; the message is for the person at the terminal."""


def page(tables: Tables) -> str:
    """The whole page. Raises LibraryError where the charts' library is not installed."""
    scripts = [_library(), *((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)]
    scripts = [script.replace("</script", "<\\/script") for script in scripts]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    of_zoo, own = apart(tables)
    sections = [
        explorer_tables.verdicts(of_zoo),
        *([] if own.runs.empty else [explorer_tables.own_networks(tables)]),
        explorer_tables.speed(of_zoo),
        explorer_tables.runs(tables.runs),
    ]
    rendered = {table.name: _section(table) for table in sections}
    has_own = "own" in rendered
    template = Template((FOLDER / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:",
        style="\n".join([*(path.read_text(encoding="utf-8") for path in STYLES), *map(_alignment, sections)]),
        answer="".join(
            f"<li>{_subject_in_bold(line)}"
            for line in [*own_networks.sentences(tables), *answer.sentences(answer_of(of_zoo))]
        ),
        margin=f"{MARGIN:g}",
        difference=f"{FIRST} minus {SECOND}, points",
        ratio=f"{FIRST} over {SECOND}",
        data=json.dumps(curves(tables), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        own_link=OWN_LINK if has_own else "",
        own=OWN_SECTION.substitute(table=rendered.pop("own")) if has_own else "",
        **rendered,
        **{f"{table.name}_hidden": "" if table.rows else " hidden" for table in sections},
    )


def _subject_in_bold(line: str) -> str:
    """A line of the answer as HTML: its subject, which Markdown has in bold, and the text."""
    marked = re.fullmatch(r"\*\*(.*?)\*\*(.*)", line, flags=re.DOTALL)
    subject, rest = marked.groups() if marked else ("", line)
    bold = f"<b>{html.escape(answer.plain(subject))}</b>" if subject else ""
    return bold + html.escape(answer.plain(rest))


def _library() -> str:
    """The code of Vega, Vega-Lite and vega-embed, which defines `vegaEmbed`."""
    try:
        import vl_convert  # only needed here; it has a JavaScript engine of its own
    except ImportError:
        raise LibraryError(
            "The explorer needs vl-convert-python: python -m pip install --requirement requirements.txt"
        ) from None
    # A function, as its names are short and would be those of the other scripts too.
    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _section(table: Table) -> str:
    """The note, the list of columns, and the table; end tags that HTML does not need are left out."""
    head = "".join(map(_head, table.headings))
    keys = table.keys or [""] * len(table.rows)
    rows = "\n".join(map(_row, table.rows, keys))
    listed = "".join(
        f"<li data-column='{html.escape(heading.name)}'>{html.escape(heading.name)}: {_meaning(heading)}</li>"
        for heading in table.headings
    )
    return (
        f"<p class=note>{html.escape(table.note)}</p>\n"
        f"<details class=columns><summary>Columns</summary><ul>{listed}</ul></details>\n"
        f"<div class=scroll tabindex=0 role=region aria-label='{html.escape(table.title)}, table'>"
        f"<table id={table.name}><thead><tr>{head}</thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _alignment(table: Table) -> str:
    """The rule that aligns columns of numbers to the right; a class in each cell would double the page."""
    places = [place for place, heading in enumerate(table.headings, start=1) if heading.number]
    return ",".join(f"#{table.name} td:nth-child({place})" for place in places) + "{text-align:right}"


def _head(heading: Heading) -> str:
    classes = " class=number" if heading.number else ""
    shown = " data-shown" if heading.shown else ""
    name = html.escape(heading.name)
    return f"<th scope=col data-column='{name}' title='{_meaning(heading)}'{classes}{shown}>{name}"


def _meaning(heading: Heading) -> str:
    unit = f" ({heading.unit})" if heading.unit else ""
    return html.escape(heading.meaning.replace("`", "") + unit)


def _row(cells: Iterable[str], key: str) -> str:
    """A row, whose first cell is its head."""
    first, *others = map(html.escape, cells)
    run = f" data-run='{html.escape(key)}'" if key else ""
    return f"<tr{run}><th scope=row>{first}" + "".join(f"<td>{cell}" for cell in others) + "</tr>"
