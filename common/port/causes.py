"""The known causes of a difference: which attribute shows one, what it means, and the line that mends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.frameworks import PAIR
from common.port.pairing import NORMS, Operation

Fix = dict[str, str]

INHERENT = ("batchnorm-variance", "optimizer-epsilon-place", "momentum-learning-rate")
"""No setting of either side makes them equal: findings, but no disagreement."""

BY_ATTRIBUTE = {
    ("batchnorm", "epsilon"): "batchnorm-epsilon",
    ("batchnorm", "momentum"): "batchnorm-momentum",
    ("batchnorm", "unbiased"): "batchnorm-variance",
    ("layernorm", "epsilon"): "layernorm-epsilon",
    ("groupnorm", "epsilon"): "groupnorm-epsilon",
    ("conv", "pads"): "padding-same-stride",
    ("pool", "pads"): "pooling-padding",
    ("pool", "counts_padding"): "pooling-padding",
}
"""The cause that a difference in an attribute is, by kind of operation."""

PROBABILITIES = ("softmax", "log_softmax", "sigmoid")

SENTENCES = {
    "batchnorm-epsilon": "adds another epsilon to the variance.",
    "batchnorm-momentum": "gives the new batch another weight in the running statistics.",
    "batchnorm-variance": "keeps the biased variance of a batch in Keras, the unbiased one in PyTorch: "
    "N/(N-1) apart for N values of a channel, so it matters for small batches and small images.",
    "layernorm-epsilon": "adds another epsilon to the variance.",
    "groupnorm-epsilon": "adds another epsilon to the variance.",
    "leaky-relu-slope": "has another slope for negative values.",
    "gelu-approximation": "is exact on one side and approximated by a hyperbolic tangent on the other.",
    "activation": "is another function on the other side, or is there on one side only.",
    "padding-same-stride": 'is padded on other sides of the image: with a stride "same" pads more after it.',
    "pooling-padding": "pads, or counts its padding, in another way.",
    "flatten-order": "has features in the order C, H, W on one side and H, W, C on the other.",
    "missing-bias": "has a bias on one side only.",
    "softmax-output": "are probabilities on one side and logits on the other.",
    "input-scaling": "gets inputs on another scale.",
    "dropout-active": "is active in inference mode.",
    "dropout-kind": "drops whole channels on one side and single values on the other, or at another rate, or "
    "is in another place.",
    "loss-reduction": "is a sum, a mean or a vector on one side and not on the other.",
    "loss-broadcast": "compares outputs (N, 1) with labels (N): every label with every output.",
    "label-smoothing": "smooths the labels by another amount.",
    "optimizer-epsilon": "has another epsilon.",
    "optimizer-epsilon-place": "adds epsilon in PyTorch after the bias correction, or outside the root, and "
    "in Keras before it, or inside: it matters in Adam's first steps, and where gradients are as small as "
    "epsilon or its root.",
    "momentum-learning-rate": "has the learning rate inside the velocity in Keras and outside in PyTorch: it "
    "matters only after the rate changes, for as long as the velocity remembers.",
    "nesterov": "uses Nesterov's momentum on one side only.",
    "weight-decay-kind": "adds the decay to the gradient on one side and subtracts it from the weight on the "
    "other.",
    "weight-decay": "decays the weights by another amount.",
    "learning-rate": "has another learning rate.",
    "gradient-clipping": "clips the gradients on one side only, or at another value.",
    "unknown": "differs, and none of the named causes explains it.",
}
"""Statement of each cause about the place where it was found."""


def both(pytorch: str, keras: str) -> Fix:
    """The lines to write: either of them mends the difference."""
    return {PAIR[0]: pytorch, "keras": keras}


def of_attribute(kind: str, name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> str | None:
    """The cause that an attribute is where it differs between two operations of a kind."""
    if kind != "activation":
        return BY_ATTRIBUTE.get((kind, name))
    if left["function"] != right["function"]:
        return "activation"
    return {"slope": "leaky-relu-slope", "approximate": "gelu-approximation"}.get(name)


def fix(cause: str, left: Operation | None, right: Operation | None, **values: Any) -> Fix:
    """The line for each side that makes it as the other one is."""
    p = {} if left is None else left.attributes
    k = {} if right is None else right.attributes
    axes = max(1, (left or right).inputs.ndim - 2) if left or right else 2  # type: ignore[union-attr]
    match cause:
        case "batchnorm-epsilon":
            return both(
                f"nn.BatchNorm{axes}d(..., eps={k['epsilon']:g})",
                f"keras.layers.BatchNormalization(epsilon={p['epsilon']:g})",
            )
        case "batchnorm-momentum":
            return both(
                f"nn.BatchNorm{axes}d(..., momentum={k['momentum']:g})",
                "keras.layers.BatchNormalization(momentum="
                + ("1 - 1 / n at the n-th batch)" if p["momentum"] is None else f"{1 - p['momentum']:g})"),
            )
        case "batchnorm-variance":
            return both(
                f"a subclass of nn.BatchNorm{axes}d that keeps var(unbiased=False)",
                "backends.tensorflow.parity.BatchNormalization, which keeps the unbiased variance",
            )
        case "layernorm-epsilon":
            return both(
                f"nn.LayerNorm(..., eps={k['epsilon']:g})",
                f"keras.layers.LayerNormalization(epsilon={p['epsilon']:g})",
            )
        case "groupnorm-epsilon":
            return both(
                f"nn.GroupNorm(..., eps={k['epsilon']:g})",
                f"keras.layers.GroupNormalization(epsilon={p['epsilon']:g})",
            )
        case "leaky-relu-slope":
            return both(
                f"nn.LeakyReLU({k['slope']:g})", f"keras.layers.LeakyReLU(negative_slope={p['slope']:g})"
            )
        case "gelu-approximation":
            approximate = "tanh" if k["approximate"] else "none"
            return both(
                f'nn.GELU(approximate="{approximate}")',
                f"keras.activations.gelu(x, approximate={p['approximate']})",
            )
        case "activation":
            return both(_activation(right, "torch"), _activation(left, "keras"))
        case "padding-same-stride":
            flat = [number for pair in reversed(k["pads"]) for number in pair]
            pairs = tuple(map(tuple, p["pads"])) if axes > 1 else tuple(p["pads"][0])
            return both(
                f"nn.ZeroPad{axes}d({tuple(flat)}) before the convolution, with padding=0 in it",
                f'keras.layers.ZeroPadding{axes}D({pairs}) before the convolution, with padding="valid"',
            )
        case "pooling-padding" if p["pads"] == k["pads"]:  # the means are over other numbers of values
            pairs = ((0, 0), *map(tuple, p["pads"]), (0, 0))
            return both(
                "count_include_pad=False in the pooling",
                f'keras.ops.pad(x, {pairs}) before the pooling, with padding="valid"',
            )
        case "pooling-padding":
            flat = [number for pair in reversed(k["pads"]) for number in pair]
            pairs = ((0, 0), *map(tuple, p["pads"]), (0, 0))
            value = "-inf" if p["mode"] == "max" else "0"
            return both(
                f'F.pad(x, {tuple(flat)}, value=float("{value}")) before the pooling, with padding=0 in it',
                f'keras.ops.pad(x, {pairs}, constant_values=float("{value}")) before the pooling, with '
                'padding="valid"',
            )
        case "flatten-order" if values.get("permuted"):
            return both("x.flatten(1), without x.permute before it", "Flatten(), without Permute before it")
        case "flatten-order":
            return both(
                "x.permute(0, 2, 3, 1).flatten(1)", "keras.layers.Permute((3, 1, 2)) before Flatten()"
            )
        case "missing-bias":
            here = left is not None and "bias" in left.weights  # the bias is in PyTorch
            keras = "center" if left is not None and left.kind in NORMS else "use_bias"
            return both(f"bias={not here}", f"{keras}={here}")
        case "softmax-output":
            return both(_head(left, right, "torch"), _head(right, left, "keras"))
        case "input-scaling":
            scale, offset = values["scale"], values["offset"]
            return both(
                f"x = {_number(scale)} * x{_signed(offset)} before {_layer(left)}",
                f"keras.layers.Rescaling({_number(1 / scale)}, offset={_number(-offset / scale)}) before "
                f"{_layer(right)}, after any scaling that is there",
            )
        case "dropout-active":
            return both(
                "F.dropout(x, p, training=self.training), or nn.Dropout and model.eval()",
                "keras.layers.Dropout(rate)(x), without training=True",
            )
        case "dropout-kind":
            return both(_dropout(k, axes, "torch"), _dropout(p, axes, "keras"))
    return both("", "")


def _layer(operation: Operation | None) -> str:
    return "this layer" if operation is None else operation.name


def _number(value: float) -> str:
    if abs(value) < 1e-9:
        return "0"
    inverse = 1 / value
    whole = abs(inverse - round(inverse)) < 1e-6 and abs(inverse) > 1
    return f"1 / {round(inverse)}" if whole else f"{value:.7g}"


def _signed(value: float) -> str:
    return "" if abs(value) < 1e-9 else f" {'+' if value > 0 else '-'} {abs(value):.7g}"


TORCH_NAMES = {"relu": "ReLU", "relu6": "ReLU6", "gelu": "GELU", "silu": "SiLU", "elu": "ELU", "selu": "SELU"}
TORCH_NAMES |= {"hardswish": "Hardswish", "log_softmax": "LogSoftmax"}
KERAS_NAMES = {"hardswish": "hard_swish", "hardtanh": "hard_tanh"}


def _activation(operation: Operation | None, library: str) -> str:
    """The activation of the other side, in a library."""
    if operation is None:
        return "no activation here"
    name = str(operation.attributes["function"])
    if name == "leaky_relu":
        slope = operation.attributes["slope"]
        if library == "keras":
            return f"keras.layers.LeakyReLU(negative_slope={slope:g})"
        return f"nn.LeakyReLU({slope:g})"
    if name == "gelu" and operation.attributes["approximate"]:
        if library == "keras":
            return "keras.activations.gelu(x, approximate=True)"
        return 'nn.GELU(approximate="tanh")'
    if library == "keras":
        return f'keras.layers.Activation("{KERAS_NAMES.get(name, name)}")'
    return f"nn.{TORCH_NAMES.get(name, name.title())}()"


def _head(own: Operation | None, other: Operation | None, library: str) -> str:
    """Fix for the last activation of one side."""
    if own is None:
        name = "" if other is None else str(other.attributes["function"])
        return f"logits, as they are; {name} is applied by the loss"
    name = str(own.attributes["function"])
    if library == "keras":
        return f"no {name} at the end, and from_logits=True in the loss"
    losses = {"sigmoid": "nn.BCEWithLogitsLoss", "softmax": "nn.CrossEntropyLoss"}
    return f"no {name} at the end: {losses.get(name, 'nn.CrossEntropyLoss')} applies it"


def _dropout(attributes: Mapping[str, Any], axes: int, library: str) -> str:
    """The dropout of the other side, in a library."""
    if not attributes:
        return "no dropout here"
    rate = attributes["rate"]
    if library == "keras":
        return (
            f"keras.layers.{f'SpatialDropout{axes}D' if attributes.get('channels') else 'Dropout'}({rate:g})"
        )
    return f"nn.Dropout{f'{axes}d' if attributes.get('channels') else ''}({rate:g})"
