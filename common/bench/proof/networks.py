"""The networks in which mistakes are planted: some of the zoo, and three of docs/examples/port."""

from __future__ import annotations

from dataclasses import replace

from common.bench.proof.changes import Variant, plain, varied
from common.bench.proof.source import Sources, sources
from common.frameworks import ROOT
from common.model.zoo import ZOO

OWN = ("residual", "grouped", "subclassed")
"""Networks with a residual branch, with GroupNorm and GELU, and a subclass of keras.Model."""

PLANTED = (
    *OWN,
    *("speedrun", "nextjournal", "under-5k", "smallest", "pytorch-model-1", "tf-model-1"),
)
"""Those that mistakes are planted in. All networks of the zoo are compared with themselves."""

NETWORKS = (*ZOO, *OWN)
FOLDER = ROOT / "docs" / "examples" / "port"


def written(name: str, variant: Variant = plain) -> Sources | None:
    """The files of a network, changed by a variant if it is of the zoo; None where this changes nothing.

    Networks of docs/examples/port have what a variant gives the others.
    """
    if name in OWN:
        left, right = (FOLDER / f"{name}_{suffix}.py" for suffix in ("torch", "keras"))
        return Sources(left.read_text(encoding="utf-8"), right.read_text(encoding="utf-8"))
    entry = ZOO[name]
    spec = varied(variant, entry.spec)
    return None if spec is None else sources(replace(entry, spec=spec))
