"""docs/questions.md: what people ask about the two frameworks, answered with figures from the tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

from common.analysis.answer import Answer
from common.model.zoo import ZOO
from common.report import answer
from common.report.benchmarks import contents
from common.report.facts import UNKNOWN, Facts

INTRODUCTION = """# Questions

Written by `python -m common.report` from the tables; do not edit.

What people ask when they compare PyTorch and TensorFlow. Each answer has a figure from the tables of this
project; below it are the page that has most of these and the command that shows them. One that trains takes
as long as its network."""


@dataclass(frozen=True)
class Question:
    """A question, its answer in three sentences, the address of its figures, and a command that shows it."""

    title: str
    answer: str
    address: str
    command: str


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
            "Most often it is not the same model: of the settings that were read from the installed "
            f"libraries {facts.differing_defaults} are not the same. What is left with one definition of all "
            f"of them: {facts.difference}. So compare the definitions first: initialisation, BatchNorm, the "
            "optimizer's epsilon, the order of Flatten, the loss, the order of the images.",
            "../benchmarks.md#the-defaults",
            "python pytorch.py --defaults",
        ),
        Question(
            "Does BatchNorm's momentum mean the same?",
            f"No: the defaults are {facts.default('BatchNorm')}. The weight of the new batch in the running "
            f"statistics is {facts.default('BatchNorm: weight of the new batch')}, and the running variance "
            f"is {facts.default('BatchNorm: running variance')}. With a small weight the running "
            "statistics of a short run still hold much of the values that they start from. Left to each "
            f"framework, BatchNorm has these effects on the accuracy: {facts.effect('norm')}.",
            "../benchmarks.md#ablation-of-the-defaults",
            "python -m common.bench ablation speedrun",
        ),
        Question(
            "Is Adam's epsilon the same?",
            f"No, neither its value nor its place. The defaults are {facts.default('Adam')}, and epsilon is "
            f"{facts.default('Adam: epsilon')}. The accuracy that a port loses by Keras' own epsilon is "
            f"{facts.costs('adam-epsilon')}. Left to each framework, all of the optimizer has these effects: "
            f"{facts.effect('optimizer')}.",
            "../benchmarks.md#mistakes-of-a-port",
            "python -m common.bench mistakes --models tf-model-1",
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
            f"Only at stride 1. {facts.uneven_padding} The networks here pad by explicit numbers, the same "
            "on opposite sides, in both frameworks. With a stride of 2 in its first convolution, a port that "
            f"pads otherwise loses {facts.costs('padding-same-stride')}.",
            "../benchmarks.md#mistakes-of-a-port",
            "python -m common.bench mistakes --models speedrun",
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
            "PyTorch's cross-entropy contains the softmax: a network that ends in one has it twice, without "
            f"an error, which costs {facts.costs('softmax-twice')}. The loss of ten classes then "
            f"cannot fall below {twice:.2f} nats, since the outputs of the first softmax are between 0 and "
            "1. Keras' cross-entropy contains it with `from_logits=True`; the TensorFlow backend notices a "
            "softmax at the end of the network, takes the logits before it, and warns.",
            "../benchmarks.md#mistakes-of-a-port",
            "python -m common.bench mistakes --models speedrun",
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
            "In double precision nearly always, in single precision only at first. With the same weights, "
            f"batches and dropout masks the first losses agree to {facts.float64_error} (relative) in double "
            "precision; in the others rounding grew in that precision too. In single precision they differ "
            f"by at most {facts.later_losses} (by network) within a hundred steps, "
            f"{facts.rounding_ratios} as much as the losses of one framework that starts from the same "
            "weights but for a rounding error. At a single step it can be up to "
            f"{facts.highest_ratio}, where one pair of runs drifts before the other does.",
            "../benchmarks.md#first-steps",
            "python -m common.bench traces",
        ),
        Question(
            "How large a difference is normal?",
            f"Runs of one framework with different seeds spread by {facts.spreads} (standard deviation). So "
            "a difference of that size between two runs of different seeds shows nothing: compare means over "
            f"many seeds. {_prediction(facts)}",
            "../benchmarks.md#verdicts",
            "python -m common.bench --models tf-model-1 --seeds 5",
        ),
        Question(
            "Which framework is faster?",
            f"Training: {answer.training(found)} {answer.COMPILED} {_whole_run(found)}"
            f"Prediction: {answer.prediction(found)} "
            "Ratios hold for the processor and the networks that they were measured on. On one without "
            "AVX-512 VNNI TensorFlow by itself does not call oneDNN, and convolutions take longer: set "
            "`TF_ENABLE_ONEDNN_OPTS=1` in programs of your own, as `tf.py` does.",
            "../benchmarks.md#speed",
            "python -m common.bench aa",
        ),
        Question(
            "Should I compile?",
            f"Measure it first. {answer.COMPILED} With `--compile`, torch.compile here and XLA there, a step "
            f"of the networks takes {facts.compiled_steps}; the longest are convolutions in XLA on a CPU. "
            "The first step, which compiles, can then take seconds.",
            "../benchmarks.md#options",
            "python -m common.bench speed options",
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
            "arithmetic on the same machine, equal in every recorded digit of the loss were: "
            f"{facts.repeats}. Another processor or another number of threads may add in another order. The "
            "runs then part where rounding errors grow.",
            "../benchmarks.md#accuracy-of-the-zoos-recipes",
            "python -m common.bench --models tf-model-1 --seeds 5",
        ),
        Question(
            "Is the difference the framework's, or its kernels'?",
            "With equal definitions and the same dropout masks what is left is rounding, and rounding is the "
            "kernels'. In single precision the largest difference between the frameworks' first losses is "
            f"{facts.rounding_ratios} the one that a rounding error in the initial weights makes within one "
            "framework. Speed is the kernels' only in part: what calls them counts too, and whether a step "
            "is compiled. A training step computes at "
            f"{facts.percent_of_product} of the speed of a large matrix product (above 100 % in PyTorch, "
            "where the product is computed by another library than the convolutions).",
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
            "A PyTorch model is in training mode until `model.eval()` is called; a test without it uses "
            "dropout and the statistics of each test batch, which costs "
            f"{facts.costs('eval-mode-forgotten')}. A Keras model is in inference mode where it is called "
            "without `training=True`; a training loop of one's own that leaves it out has no dropout, and "
            f"BatchNorm's first statistics, which costs {facts.costs('train-mode-forgotten')} (a negative "
            "cost is a gain). Dropout masks differ between the frameworks even with one seed.",
            "../benchmarks.md#mistakes-of-a-port",
            "python -m common.bench mistakes --models nextjournal",
        ),
        Question(
            "Does the order of the images matter?",
            f"Images that are never shuffled cost {facts.costs('no-shuffling')}; where an interval has both "
            "signs no effect was found. The usual loaders differ in it, as they take "
            f"{facts.default('usual loader')}. Here one permutation an epoch, from the seed, is used by both;"
            f" over seeds, which decide the initial weights too, the accuracy spreads by {facts.spreads}.",
            "../benchmarks.md#mistakes-of-a-port",
            "python -m common.bench mistakes --models tf-model-1",
        ),
        Question(
            "How are weights converted?",
            "By name and by layout: kernels of convolutions, of dense layers and of the layer after "
            "Flatten are permuted. Running statistics belong to them: BatchNorm on 7 channels has "
            f"{facts.default('parameters of BatchNorm on 7 channels')}. A checkpoint of `--save-model` has "
            "neutral names, and either framework reads it with `--checkpoint` or `--resume`.",
            "../benchmarks.md#the-defaults",
            "python pytorch.py --model speedrun --save-model checkpoints/speedrun-pytorch.safetensors",
        ),
    ]


def _batch_sizes() -> str:
    sizes = [entry.recipe.batch_size for entry in ZOO.values()]
    return f"{min(sizes)} to {max(sizes)}"


def _whole_run(found: Answer) -> str:
    return "".join(f"Whole run: {sentence} " for sentence in answer.whole_run(found))


def _prediction(facts: Facts) -> str:
    pooled = facts.found.accuracy
    if pooled is None:
        return f"The difference of the means over many seeds is {UNKNOWN}."
    low, high = pooled.prediction
    return (
        f"The true difference of a further network like these is expected from {low:+.3f} to {high:+.3f} "
        "points (95 % prediction interval; the true differences of the networks here have an estimated "
        f"standard deviation of {pooled.tau:.3f}, which so few networks leave uncertain). A measured "
        "difference of means over n seeds is off by up to about twice the standard deviation of the pairs' "
        f"differences ({facts.pair_spreads}) over the square root of n."
    )
