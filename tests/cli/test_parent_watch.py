"""A script that its parent starts with `ends_with_parent` ends with it; any other script does not."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from common.cli.parent_watch import VARIABLE, ends_with_parent
from common.frameworks import ROOT

PROGRAM = """
import os, time
from common.cli.parent_watch import VARIABLE, watch_parent
watch_parent()
print(VARIABLE in os.environ, flush=True)
time.sleep(SECONDS)
"""


def start(seconds: float, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM.replace("SECONDS", str(seconds))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)


def test_a_script_ends_with_its_parents_pipe() -> None:
    with ends_with_parent() as child:
        assert child["env"][VARIABLE]
        process = start(60, **child)
        assert process.stdout
        assert process.stdout.readline() == "False\n"  # what the script starts does not watch
        assert process.poll() is None
    assert process.wait(timeout=300) == 1
    process.stdout.close()


def test_a_closed_standard_input_alone_ends_no_script() -> None:
    process = start(0.5, stdin=subprocess.DEVNULL)
    printed, _ = process.communicate(timeout=300)
    assert (process.returncode, printed) == (0, "False\n")
