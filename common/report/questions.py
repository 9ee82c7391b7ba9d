"""docs/questions.md: what people ask about the two frameworks, answered with figures from the tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from common.analysis import pooling, rounding
from common.analysis.answer import Answer
from common.analysis.rounding import FirstSteps
from common.frameworks import FRAMEWORKS, PAIR, display_name
from common.model.zoo import ZOO
from common.report import answer
from common.report.ablation_tables import told_effects
from common.report.benchmarks import contents
from common.report.defaults_tables import snapshot

FIRST, SECOND = (display_name(name) for name in PAIR)
UNKNOWN = "not recorded yet"

INTRODUCTION = """# Questions

Written by `python -m common.report` from the tables; do not edit.

What people ask when they compare PyTorch and TensorFlow. Each answer has a figure from the tables of this
project, where it is from, and the command that shows it; one that trains takes as long as its network."""


@dataclass(frozen=True)
class Question:
    """A question, its answer in three sentences, the address of its figures, and a command that shows it."""

    title: str
    answer: str
    address: str
    command: str


@dataclass(frozen=True, eq=False)
class Facts:
    """The figures of the answers, as text; UNKNOWN where the tables have none."""

    found: Answer

    @cached_property
    def defaults(self) -> dict[str, tuple[str, str]]:
        """By setting: the default of each framework."""
        first, second = (snapshot(self.found.tables.defaults, framework) for framework in PAIR)
        return {item: (first[item], second[item]) for item in first if item in second}

    def default(self, item: str) -> str:
        """`eps=1e-05 in PyTorch and epsilon=0.001 in TensorFlow`."""
        if item not in self.defaults:
            return UNKNOWN
        first, second = self.defaults[item]
        return f"{first} in {FIRST} and {second} in {SECOND}"

    @property
    def differing_defaults(self) -> str:
        """`17 of 19`."""
        if not self.defaults:
            return UNKNOWN
        return f"{sum(first != second for first, second in self.defaults.values())} of {len(self.defaults)}"

    @property
    def difference(self) -> str:
        """The difference of accuracies over all networks."""
        pooled = self.found.accuracy
        if pooled is None:
            return UNKNOWN
        low, high = pooled.interval
        return (
            f"over {pooled.networks} networks {FIRST} minus {SECOND} is {pooled.mean:+.3f} points (95 % "
            f"{low:+.3f} to {high:+.3f})"
        )

    @cached_property
    def first_steps(self) -> list[FirstSteps]:
        return rounding.first_steps(self.found.tables.traces)

    @property
    def float64_error(self) -> str:
        """The largest relative difference of losses in double precision, where it stays small."""
        if not self.first_steps:
            return UNKNOWN
        error, within, others = rounding.in_double_precision(self.first_steps)
        return f"{error:.0e} in {within} of {within + len(others)} comparisons"

    @property
    def first_loss(self) -> str:
        """The largest difference of the first loss in single precision."""
        errors = [steps.largest(lambda seed: seed.between_frameworks[:1]) for steps in self.first_steps]
        return f"{max(errors):.0e} nats" if errors else UNKNOWN

    @property
    def later_losses(self) -> str:
        """The largest differences of the traced losses in single precision, smallest and largest network."""
        errors = [steps.largest(lambda seed: seed.between_frameworks) for steps in self.first_steps]
        return f"{min(errors):.0e} to {max(errors):.0e} nats" if errors else UNKNOWN

    @property
    def rounding_ratios(self) -> str:
        """The networks' largest differences over those of rounding alone."""
        ratios = [steps.overall_ratio for steps in self.first_steps]
        return f"{min(ratios):.1f} to {max(ratios):.1f} times" if ratios else UNKNOWN

    @property
    def highest_ratio(self) -> str:
        """The highest ratio to rounding alone of a network and seed."""
        ratios = [steps.highest for steps in self.first_steps]
        return f"{max(ratios):,.0f} times" if ratios else UNKNOWN

    def effect(self, part: str) -> str:
        """The effects of leaving a part to each framework."""
        return told_effects(self.found.tables.runs, part) or UNKNOWN

    @property
    def spreads(self) -> str:
        """The standard deviations of the accuracies over seeds, smallest and largest network."""
        sds = [
            summary.sd
            for pair in self.found.pairs
            for group in (pair.first, pair.second)
            if (summary := group.summary("accuracy")) and summary.sd is not None
        ]
        return f"{min(sds):.2f} to {max(sds):.2f} points" if sds else UNKNOWN

    @property
    def repeats(self) -> str:
        """Of how many seeds that were run again on one machine all runs have the same test loss."""
        columns = ["framework", *pooling.ENVIRONMENT, "model", "seed", "numerics"]
        runs = pooling.zoo_runs(self.found.tables.runs)
        again = runs[runs.duplicated(columns, keep=False)]
        parts = []
        for framework in FRAMEWORKS:
            groups = [
                rows for _, rows in again[again["framework"] == framework].groupby(columns, dropna=False)
            ]
            equal = sum(rows["loss"].nunique() == 1 for rows in groups)
            if groups:
                parts.append(f"{equal} of {len(groups)} in {display_name(framework)}")
        return ", ".join(parts) or UNKNOWN

    @property
    def equal_rates(self) -> str:
        """In how many recorded epochs both frameworks had the same learning rate."""
        runs = pooling.judged_runs(self.found.tables.runs)[["run", "model", "framework"]]
        rates = self.found.tables.epochs.dropna(subset=["lr"]).merge(runs, on="run")
        by_epoch: pd.Series[int] = rates.groupby(["model", "epoch"])["lr"].nunique()
        return f"{int((by_epoch == 1).sum())} of {len(by_epoch)}" if len(by_epoch) else UNKNOWN

    def means(self, model: str, test: str, train: str, *, digits: int = 2, unit: str = "%") -> str:
        """`97.01 % on the test images and 91.10 % on the training images`, of the first framework."""
        for pair in self.found.pairs:
            summaries = [pair.first.summary(column) for column in (test, train)]
            if pair.model == model and all(summaries):
                values = [f"{summary.mean:.{digits}f} {unit}" for summary in summaries if summary]
                return f"{values[0]} on the test images and {values[1]} on the training images"
        return UNKNOWN

    @property
    def percent_of_product(self) -> str:
        """The arithmetic of a training step in percent of a matrix product's, lowest and highest of the
        networks' last sessions."""
        rows = self.found.tables.speed[self.found.tables.speed["measure"] == "gflops"]
        last = rows["sitting"] == rows.groupby(["model", "framework"])["sitting"].transform("max")
        table = rows[last].pivot_table("value", index=["model", "framework"], columns="arm", aggfunc="last")
        if not {"training", "product"} <= set(table.columns):
            return UNKNOWN
        percent = (100 * table["training"] / table["product"]).dropna()
        return f"{percent.min():.0f} to {percent.max():.0f} %"


def page(found: Answer) -> str:
    """docs/questions.md."""
    asked = questions(Facts(found))
    sections = [
        f"## {each.title}\n\n{each.answer}\n\n[Figures]({each.address}), or run `{each.command}`."
        for each in asked
    ]
    return "\n\n".join([INTRODUCTION, contents(each.title for each in asked), *sections]) + "\n"


def questions(facts: Facts) -> list[Question]:
    """All questions, in the order of the page."""
    return [*_of_definitions(facts), *_of_results(facts), *_of_practice(facts)]


def _of_definitions(facts: Facts) -> list[Question]:
    # A network that is certain can reach no lower loss: one logit is 1, the others are 0.
    twice = -math.log(math.e / (math.e + 9))
    return [
        Question(
            "The same model has a lower accuracy in one framework. Why?",
            "Most often it is not the same model: of the defaults that were read from the installed "
            f"libraries {facts.differing_defaults} differ. With one definition of all of them the "
            f"accuracies do not: {facts.difference}. So compare the definitions first: initialisation, "
            "BatchNorm, the optimizer's epsilon, the order of Flatten, the loss, the order of the images.",
            "../benchmarks.md#the-defaults",
            "python pytorch.py --defaults",
        ),
        Question(
            "Does BatchNorm's momentum mean the same?",
            f"No: the defaults are {facts.default('BatchNorm')}. The weight of the new batch in the running "
            f"statistics is {facts.default('BatchNorm: weight of the new batch')}, and the running variance "
            f"is {facts.default('BatchNorm: running variance')}. With a small weight a short run is tested "
            "with statistics of its first steps. Left to each framework, BatchNorm has these effects "
            f"on the accuracy: {facts.effect('norm')}.",
            "../benchmarks.md#ablation-of-the-defaults",
            "python -m common.bench ablation speedrun",
        ),
        Question(
            "Is Adam's epsilon the same?",
            f"No, neither its value nor its place. The defaults are {facts.default('Adam')}, and epsilon is "
            f"{facts.default('Adam: epsilon')}. Left to each framework, the optimizer has these effects on "
            f"the accuracy: {facts.effect('optimizer')}.",
            "../benchmarks.md#ablation-of-the-defaults",
            "python -m common.bench ablation tf-model-1",
        ),
        Question(
            "Do both initialise weights alike?",
            f"No. The kernel of a dense layer is {facts.default('kernel of a dense layer')}, its bias "
            f"{facts.default('bias of a dense layer')}. Left to each framework, the initialisation has these "
            f"effects on the accuracy: {facts.effect('init')}.",
            "../benchmarks.md#ablation-of-the-defaults",
            "python -m common.bench ablation tf-model-1",
        ),
        Question(
            "Is `same` padding the same?",
            "Only at stride 1. With a larger stride the libraries' answer is: "
            f"{facts.default('same padding with a stride')}. The networks here pad by explicit numbers, the "
            "same on all sides, in both frameworks.",
            "../benchmarks.md#the-defaults",
            "python tf.py --defaults",
        ),
        Question(
            "Why must weights be reordered after Flatten?",
            f"The layout of images is {facts.default('layout of images')}, so Flatten gives the dense layer "
            "after it another order of the same values. Weights that are copied without a permutation then "
            "meet the wrong inputs, and no error is raised. Here Flatten is channels first in both, and "
            f"the losses of the same weights agree to {facts.float64_error} (relative, double precision).",
            "../benchmarks.md#first-steps",
            "python -m common.bench traces",
        ),
        Question(
            "What happens if softmax is applied twice?",
            "PyTorch's cross-entropy always contains the softmax, Keras' only with `from_logits=True`; a "
            "softmax layer before it is then a second one, without an error. The loss of ten classes "
            f"cannot fall below {twice:.2f} nats, since the outputs of the first softmax are between 0 and "
            "1. So a training loss that stops there shows the mistake: `nextjournal` ends with "
            f"{facts.means('nextjournal', 'loss', 'train_loss', digits=4, unit='nats')}.",
            "../benchmarks.md#accuracy-of-the-zoos-recipes",
            "python pytorch.py --model nextjournal",
        ),
        Question(
            "Do both reduce the loss over a batch in the same way?",
            "By default both take the mean over the batch. A sum instead multiplies the gradient by the "
            f"batch size, here {_batch_sizes()} images, which SGD's learning rate must undo. That both are "
            f"means here is visible in the first loss, which differs by at most {facts.first_loss} between "
            "the frameworks.",
            "../benchmarks.md#first-steps",
            "python -m common.bench traces",
        ),
    ]


def _of_results(facts: Facts) -> list[Question]:
    found = facts.found
    return [
        Question(
            "Should the loss of every step be equal?",
            "In double precision yes, in single precision only at first. With the same weights, batches "
            f"and dropout masks the first losses agree to {facts.float64_error} (relative) in double "
            f"precision. In single precision they drift apart by {facts.later_losses} within a hundred "
            f"steps, {facts.rounding_ratios} as far as rounding alone makes one framework drift from "
            f"itself. At a single step it can be up to {facts.highest_ratio}, where one pair of runs drifts "
            "before the other does.",
            "../benchmarks.md#first-steps",
            "python -m common.bench traces",
        ),
        Question(
            "How large a difference is normal?",
            f"Runs of one framework with different seeds spread by {facts.spreads} (standard deviation). So "
            "one run of each framework shows nothing; only means over seeds can be compared. "
            f"{_prediction(found)}",
            "../benchmarks.md#verdicts",
            "python -m common.bench --models tf-model-1 --seeds 5",
        ),
        Question(
            "Which framework is faster?",
            f"Training: {answer.training(found)} {answer.COMPILED} {_whole_run(found)}"
            f"Prediction: {answer.prediction(found)} "
            "Ratios hold for the processor and the networks that they were measured on.",
            "../benchmarks.md#speed",
            "python -m common.bench aa",
        ),
        Question(
            "Which framework takes less memory?",
            f"{answer.capitalised(answer.memory(found))} This is the largest resident memory of the "
            "process, most of it the libraries themselves.",
            "../benchmarks.md#speed-and-memory",
            "python -m common.bench aa",
        ),
        Question(
            "Are runs repeatable?",
            "On one machine, with one version and one number of threads, yes, if the seed also decides the "
            "order, the augmentation and the dropout masks. Of the seeds that were run again with the same "
            f"arithmetic on the same machine, equal to the last bit of the loss were: {facts.repeats}. "
            "Another processor or another number of threads may add in another order. The runs then part "
            "where rounding errors grow, at most as far as those of two seeds.",
            "../benchmarks.md#accuracy-of-the-zoos-recipes",
            "python -m common.bench --models tf-model-1 --seeds 5",
        ),
        Question(
            "Is the difference the framework's, or its kernels'?",
            "What is left when all definitions are equal is rounding, and rounding is the kernels'. In "
            f"single precision the first losses differ at most {facts.rounding_ratios} as much as those of "
            "one framework that starts one unit in the last place away. "
            "Speed is the kernels' as well: a training step reaches "
            f"{facts.percent_of_product} of the arithmetic of a matrix product (above 100 % in PyTorch, "
            "where another library computes the product than the convolutions).",
            "../benchmarks.md#where-a-training-step-goes",
            "python -m common.bench speed profiles",
        ),
    ]


def _of_practice(facts: Facts) -> list[Question]:
    return [
        Question(
            "Do learning-rate schedules agree?",
            "Names do not: a decay may count steps or epochs, and begin before or after the first one. "
            "Here every rate is computed once, in NumPy, and given to both frameworks. In the recorded "
            f"epochs the rates of both are equal in {facts.equal_rates}.",
            "gallery.md#learning-rate-per-epoch",
            "python -m common.report",
        ),
        Question(
            "What do dropout and evaluation mode change?",
            "PyTorch trains until `model.eval()` is called, Keras by the argument `training`; without it a "
            "test uses dropout and the batch's own statistics. Then the test accuracy falls to that of the "
            "training batches or below: `nextjournal` has "
            f"{facts.means('nextjournal', 'accuracy', 'train_accuracy')}, with dropout, in {FIRST}. Masks "
            "differ between the frameworks even with one seed.",
            "../benchmarks.md#accuracy-of-the-zoos-recipes",
            "python pytorch.py --model nextjournal",
        ),
        Question(
            "Does the order of the images matter?",
            f"The usual loader takes {facts.default('usual loader')}. An order that is never shuffled is "
            "part of the recipe, and a different one a different experiment. Here one permutation an "
            f"epoch, from the seed, is used by both; over seeds the accuracy spreads by {facts.spreads}.",
            "../benchmarks.md#against-the-frameworks-own-loaders",
            "python -m common.bench speed native-loaders",
        ),
        Question(
            "How are weights converted?",
            "By name and by layout: kernels of convolutions, of dense layers and of the layer after "
            "Flatten are permuted. Running statistics belong to them: BatchNorm on 7 channels has "
            f"{facts.default('parameters of BatchNorm on 7 channels')}. A checkpoint of `--save-model` has "
            "neutral names, and either framework reads it with `--checkpoint` or `--resume`.",
            "method.md",
            "python pytorch.py --model speedrun --save-model checkpoints/speedrun-pytorch.safetensors",
        ),
    ]


def _batch_sizes() -> str:
    sizes = [entry.recipe.batch_size for entry in ZOO.values()]
    return f"{min(sizes)} to {max(sizes)}"


def _whole_run(found: Answer) -> str:
    return "".join(f"Whole run: {sentence} " for sentence in answer.whole_run(found))


def _prediction(found: Answer) -> str:
    pooled = found.accuracy
    if pooled is None:
        return f"The difference of the means over many seeds is {UNKNOWN}."
    low, high = pooled.prediction
    return (
        f"The true difference of a further network like these is expected from {low:+.3f} to {high:+.3f} "
        "points (95 % prediction interval; the true differences of the networks here have an estimated "
        f"standard deviation of {pooled.tau:.3f}). A difference of measured means scatters besides, by about "
        "twice the standard deviation over the square root of the number of seeds."
    )
