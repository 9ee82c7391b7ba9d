"""The classical mistakes of a port, whose costs `python -m common.bench mistakes` measures.

Each is made in the framework where it is at home: the one whose interface or defaults lead to it. A backend
plants those that are a framework's own (`backends/*/mistakes.py`), `common.training.mistaken` those of order,
schedule and images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from common.frameworks import PAIR
from common.model.layers import BatchNorm, Conv, Dense, Dropout, Flatten, SpatialDropout, pair
from common.model.optimizer import Adam
from common.model.recipe import Recipe
from common.model.schedule import OneCycle
from common.model.spec import ModelSpec, Node

MODELS = ("tf-model-1", "speedrun", "nextjournal")
"""Networks that are recorded: one dense, one with BatchNorm and a schedule, one with dropout."""
SEEDS = 5

NONE = "none"
DECAYED = "none-decayed"
PADDED = "none-padded"
REFERENCES = {
    NONE: "the recipe as it is",
    DECAYED: "the recipe with AdamW's decoupled weight decay of 0.01",
    PADDED: "the network with a stride of 2, and a padding of half its kernel, in each strided convolution",
}
"""The runs without a mistake that others are compared with, by name."""

DECAY = 0.01


@dataclass(frozen=True)
class Need:
    """Requirement of a mistake on a network and its recipe, and what is said of a network without it."""

    met: Callable[[ModelSpec, Recipe], bool]
    otherwise: str


def _layers(*kinds: type) -> Callable[[ModelSpec, Recipe], bool]:
    return lambda spec, recipe: any(isinstance(node.layer, kinds) for node in spec.leaves())


def _flattens_channels(spec: ModelSpec, recipe: Recipe) -> bool:
    """Whether the kernel of a dense layer right after Flatten has columns to permute."""
    return any(
        isinstance(node.layer, Flatten)
        and isinstance(following.layer, Dense)
        and len(node.input_shape) == 3
        and node.input_shape[0] > 1
        and max(node.input_shape[1:]) > 1
        for node, following in pairwise(spec.nodes())
    )


def is_strided(node: Node) -> bool:
    """Whether a node is a convolution with a stride whose kernel has a middle and a border, not a depthwise
    one."""
    conv = node.layer
    if not isinstance(conv, Conv) or conv.is_depthwise(node.input_shape) or max(pair(conv.stride)) == 1:
        return False
    sides = pair(conv.kernel_size)
    return all(side % 2 for side in sides) and max(sides) > 1


NOTHING = Need(lambda spec, recipe: True, "")
BATCH_NORM = Need(_layers(BatchNorm), "has no BatchNorm")
MODES = Need(_layers(BatchNorm, Dropout, SpatialDropout), "has neither BatchNorm nor dropout")
CHANNELS = Need(_flattens_channels, "has no dense layer right after a Flatten of several channels")
STRIDE = Need(
    lambda spec, recipe: any(map(is_strided, spec.nodes())),
    "has no plain convolution with a stride and an odd kernel outside a branch",
)
UNSMOOTHED = Need(lambda spec, recipe: not recipe.label_smoothing, "smooths its labels")
PER_STEP = Need(
    lambda spec, recipe: isinstance(recipe.schedule, OneCycle), "has no schedule that changes at every step"
)
ADAM = Need(lambda spec, recipe: isinstance(recipe.optimizer, Adam), "is not trained with Adam")
NORMALISED = Need(
    lambda spec, recipe: (recipe.mean, recipe.std) != (0.0, 1.0), "has images in 0..1, without a mean"
)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A mistake: what is wrong in the program, as a sentence, and the run that it is compared with.

    With `at_test` it is made when the network of that run is tested, else from the first step on.
    """

    name: str
    framework: str
    sentence: str
    need: Need = NOTHING
    reference: str = NONE
    at_test: bool = False


FIRST, SECOND = PAIR

MISTAKES = (
    Mistake(
        name="softmax-twice",
        framework=FIRST,
        sentence="The network ends in softmax, and nn.CrossEntropyLoss applies it again.",
    ),
    Mistake(
        name="loss-broadcast",
        framework=FIRST,
        sentence="The loss of [B, 1] against [B]: with labels of shape (B, 1), "
        "log_probabilities[arange(B), labels] compares each image with the labels of its whole batch.",
        need=UNSMOOTHED,
    ),
    Mistake(
        name="loss-sum",
        framework=FIRST,
        sentence='The loss has reduction="sum": the gradient is B times as large.',
    ),
    Mistake(
        name="zero-grad-forgotten",
        framework=FIRST,
        sentence="zero_grad() is missing: gradients add up over the run.",
    ),
    Mistake(
        name="train-mode-forgotten",
        framework=SECOND,
        sentence="The training loop calls model(images) without training=True: no dropout, and BatchNorm "
        "keeps the statistics it began with.",
        need=MODES,
    ),
    Mistake(
        name="eval-mode-forgotten",
        framework=FIRST,
        sentence="model.eval() is missing before the test: dropout drops, and BatchNorm takes the statistics "
        "of each batch of test images.",
        need=MODES,
        at_test=True,
    ),
    Mistake(
        name="batchnorm-momentum",
        framework=FIRST,
        sentence="BatchNorm has Keras' momentum 0.9, the weight of the old statistics; PyTorch's 0.1 is that "
        "of the new ones.",
        need=BATCH_NORM,
    ),
    Mistake(
        name="schedule-per-epoch",
        framework=FIRST,
        sentence="scheduler.step() is called after each epoch, not after each step.",
        need=PER_STEP,
    ),
    Mistake(
        name="no-shuffling",
        framework=FIRST,
        sentence="The DataLoader has no shuffle=True: every epoch has the order of the file.",
    ),
    Mistake(
        name="last-batch-unscaled",
        framework=FIRST,
        sentence="The last batch of the last epoch is not normalised: its pixels are 0 to 255.",
    ),
    Mistake(
        name="weight-decay-kind",
        framework=FIRST,
        sentence=f"Adam(weight_decay={DECAY}), which adds the decay to the gradient, for AdamW, which does "
        "not.",
        need=ADAM,
        reference=DECAYED,
    ),
    Mistake(
        name="images-unnormalised",
        framework=FIRST,
        sentence="Test images are in 0..1, without the mean and deviation of the training images.",
        need=NORMALISED,
        at_test=True,
    ),
    Mistake(
        name="pixels-unscaled",
        framework=SECOND,
        sentence="Test images are not divided by 255, nor normalised: their pixels are 0 to 255.",
        at_test=True,
    ),
    Mistake(
        name="softmax-missing",
        framework=SECOND,
        sentence="The loss has no from_logits=True: it takes logits for probabilities.",
        need=UNSMOOTHED,
    ),
    Mistake(
        name="flatten-order",
        framework=SECOND,
        sentence="PyTorch's weights are carried over with the dense kernel after Flatten transposed and not "
        "permuted from C, H, W to H, W, C.",
        need=CHANNELS,
        at_test=True,
    ),
    Mistake(
        name="padding-same-stride",
        framework=SECOND,
        sentence='PyTorch\'s weights are carried over to strided convolutions with padding="same", which '
        "pads one pixel less above and to the left.",
        need=STRIDE,
        reference=PADDED,
        at_test=True,
    ),
    Mistake(
        name="optimizer-by-name",
        framework=SECOND,
        sentence='The optimizer is named, "adam" or "sgd": it has Keras\' own constants and constant rate.',
    ),
    Mistake(
        name="adam-epsilon",
        framework=SECOND,
        sentence="Adam has Keras' own epsilon, 1e-7, added before the bias correction.",
        need=ADAM,
    ),
)

BY_NAME = {mistake.name: mistake for mistake in MISTAKES}


def applicable(framework: str, spec: ModelSpec, recipe: Recipe) -> list[Mistake]:
    """The mistakes at home in a framework that a network and its recipe have room for."""
    return [m for m in MISTAKES if m.framework == framework and m.need.met(spec, recipe)]


def runs(framework: str, spec: ModelSpec, recipe: Recipe) -> Iterator[str]:
    """The names of all runs of a seed: each reference before the mistakes that are compared with it."""
    references = set()
    for mistake in applicable(framework, spec, recipe):
        if mistake.reference not in references:
            references.add(mistake.reference)
            yield mistake.reference
        yield mistake.name
