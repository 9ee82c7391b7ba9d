"""Threads of a run: their number where no flag gives it, and how long OpenMP's wait for each other."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, MutableMapping

from common.cli.arguments import MAX_THREADS, number
from common.frameworks import Framework
from common.tables.cores import cores_each

NUMBER = "OMP_NUM_THREADS"
SPINS = "GOMP_SPINCOUNT"
WAITING = {SPINS, "OMP_WAIT_POLICY"}
"""Variables by which a user sets how libgomp's threads wait."""


class ThreadsError(Exception):
    """The environment names no number of threads; the message is for the person at the terminal."""


def default_threads(processes: int, environment: Mapping[str, str]) -> int:
    """The first number of OMP_NUM_THREADS, else the cores of each of `processes` of the run on this machine.

    The number is every framework's, whether or not its threads are OpenMP's. Raises ThreadsError.
    """
    first = environment.get(NUMBER, "").partition(",")[0].strip()  # of one for each level of nesting
    # torchrun sets it to 1 where it starts several processes and the user left it unset.
    if not first or (first == "1" and processes > 1):
        return cores_each(processes)
    try:
        return int(number(int, 1, MAX_THREADS)(first))
    except argparse.ArgumentTypeError as error:
        raise ThreadsError(f"{NUMBER}, which is used without --threads: {error}") from None


def limit_spinning(framework: Framework, environment: MutableMapping[str, str]) -> None:
    """Set how long OpenMP's threads wait for each other before they sleep, where the user did not; before the
    framework is imported, which reads it."""
    if framework.openmp_spins is not None and not WAITING & environment.keys():
        environment[SPINS] = str(framework.openmp_spins)
