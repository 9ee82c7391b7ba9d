"""All stages of a check, each only if the one before agrees or is explained."""

from __future__ import annotations

from common.port import forward, gradient, loss, optimizer, statistics, training, weights
from common.port.check import STAGES, Check, Question, Report
from common.port.workers import Workers

RUN = {
    "weights": weights.run,
    "forward": forward.run,
    "statistics": statistics.run,
    "loss": loss.run,
    "gradient": gradient.run,
    "optimizer": optimizer.run,
    "training": training.run,
}


def compare(workers: Workers, question: Question) -> Report:
    """The report of one comparison, in every precision. Raises InputError; WorkerError for a defect.

    The workers stay as they are: any number of questions can be put to them one after the other.
    """
    report = Report()
    for versions in workers.both("versions"):
        report.versions |= versions
    check = None
    for precision in question.precisions:
        check = Check(workers, question, precision, report, before=check)
        check.load()
        for stage in STAGES:
            if stage not in report.skipped:
                RUN[stage](check)
            if stage in check.mends.unknown:
                report.skipped.update(
                    dict.fromkeys(STAGES[STAGES.index(stage) + 1 :], f"{stage} differs without a known cause")
                )
                break
    return report
