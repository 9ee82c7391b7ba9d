"""The frameworks that are compared: the one list of their names and of what differs between them by name."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
"""The folder of the scripts, of results/ and of docs/."""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """A framework, as the tables (`name`) and the pages (`title`) call it. `package` is what Python imports.

    `script` is its command in ROOT, `default_model` the network that this trains when none is named.
    `compiler` and `native_loader` complete the sentences of `--help`; `pins_memory` says whether the loader
    can put batches in page-locked memory, `cycles_momentum` whether its own SGD can change the momentum.
    `launcher` is the convention by which several processes of one run find their rank. `init` is the
    distribution of its own initial weights, as `ModelSpec.init` names it. `openmp_spins` limits the turns
    for which an OpenMP thread of the framework waits for the others before it sleeps; None where its
    threads are not OpenMP's. `colour` and `marker` are those of every figure.
    """

    name: str
    title: str
    package: str
    script: str
    default_model: str
    compiler: str
    native_loader: str
    pins_memory: bool
    cycles_momentum: bool
    launcher: Literal["torchrun", "TF_CONFIG"]
    init: str
    openmp_spins: int | None
    colour: str
    marker: str

    @property
    def command(self) -> list[str]:
        """The words that start the framework's script."""
        return [sys.executable, str(ROOT / self.script)]


# Colours of Okabe and Ito's palette, which are told apart with any colour vision.
FRAMEWORKS: dict[str, Framework] = {
    framework.name: framework
    for framework in (
        Framework(
            name="pytorch",
            title="PyTorch",
            package="torch",
            script="pytorch.py",
            default_model="pytorch-model-1",
            compiler="torch.compile",
            native_loader="torchvision's data set and a DataLoader",
            pins_memory=True,
            cycles_momentum=True,
            launcher="torchrun",
            init="fan-in-uniform",
            # libgomp's own 300,000 outlast a slice of the scheduler: a thread keeps the one it waits for
            # from its core. With OMP_WAIT_POLICY=PASSIVE, none, a step is slower alone.
            openmp_spins=6_000,
            colour="#D55E00",
            marker="o",
        ),
        Framework(
            name="tensorflow",
            title="TensorFlow",
            package="tensorflow",
            script="tf.py",
            default_model="tf-model-1",
            compiler="XLA (which dense networks are by default)",
            native_loader="tf.data and Model.fit",
            pins_memory=False,
            cycles_momentum=False,
            launcher="TF_CONFIG",
            init="xavier-uniform",
            openmp_spins=None,
            colour="#0072B2",
            marker="s",
        ),
    )
}
"""By name, in the order of every table and figure."""

PAIR = tuple(FRAMEWORKS)[:2]
"""The two that verdicts, ablations, A/A tests and traces compare; other frameworks are listed beside them."""


def display_name(framework: str) -> str:
    """`PyTorch` for the tables' `pytorch`; an unknown name as it is."""
    entry = FRAMEWORKS.get(framework.lower())
    return entry.title if entry else framework
