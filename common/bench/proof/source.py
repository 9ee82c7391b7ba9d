"""A network and its recipe as two source files, as a porter would write them for PyTorch and for Keras.

Each layer is a line or two in either file, so that a mistake is a small change of the text. The two compute
the same: Keras gets PyTorch's constants, and a padding layer where its own padding lies on other sides.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.model import layers
from common.model.entry import Entry
from common.model.layers import pair
from common.model.optimizer import SGD, Adadelta, Adam, Optimizer
from common.model.spec import Node

PADDED_POOL = 'keras.ops.pad(x, ((0, 0), {}, {}, (0, 0)), constant_values=float("-inf"))'


@dataclass(frozen=True)
class Sources:
    """The text of a file for PyTorch, with `Net`, and of one for Keras, with `build`."""

    left: str
    right: str


@dataclass(frozen=True)
class Lines:
    """A layer in both files: its line in `__init__` in PyTorch, if it has one, and the new value of `x` in
    PyTorch and in Keras, there sometimes in two steps."""

    made: str
    left: str
    right: tuple[str, ...]


LEFT = '''"""{name} in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
{made}

    def forward(self, x):
{forward}
        return x


loss = {loss}


def optimizer(parameters):
    return {optimizer}
'''

RIGHT = '''"""{name} in Keras."""

import keras
from keras import layers


def build():
    x = inputs = keras.Input({shape})
{forward}
    return keras.Model(inputs, x)


loss = {loss}


def optimizer():
    return {optimizer}
'''


def sources(entry: Entry) -> Sources:
    """Both files of a network. Raises ValueError for a layer within which there are others."""
    nodes = list(entry.spec.nodes())
    written = [_lines(node) for node in nodes]
    made = [line.made for line in written if line.made]
    smoothing = entry.recipe.label_smoothing
    left_loss = "nn.CrossEntropyLoss()"
    right_loss = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
    if smoothing:
        left_loss = f"nn.CrossEntropyLoss(label_smoothing={smoothing})"
        right_loss = f"keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing={smoothing})"
    channels, height, width = entry.spec.input_shape
    first, second = _optimizer(entry.recipe.optimizer, entry.recipe.lr)
    return Sources(
        LEFT.format(
            name=entry.name,
            made="\n".join(f"        {line}" for line in made) or "        pass",
            forward="\n".join(f"        x = {line.left}" for line in written),
            loss=left_loss,
            optimizer=first,
        ),
        RIGHT.format(
            name=entry.name,
            shape=(height, width, channels),
            forward="\n".join(f"    x = {value}" for line in written for value in line.right),
            loss=right_loss,
            optimizer=second,
        ),
    )


def _lines(node: Node) -> Lines:
    channels, image = node.input_shape[0], len(node.input_shape) == 3
    own = f"self.{node.name}"
    match node.layer:
        case layers.Conv() as conv:
            return Lines(f"{own} = {_left_conv(conv, channels)}", f"{own}(x)", _right_conv(conv, node))
        case layers.BatchNorm(eps=eps, momentum=momentum, affine=affine):
            default = (eps, momentum) == (1e-5, 0.1)
            settings = "" if default else f", eps={eps}, momentum={momentum}"
            settings += "" if affine else ", affine=False"
            plain = "" if affine else ", center=False, scale=False"
            return Lines(
                f"{own} = nn.BatchNorm{2 if image else 1}d({channels}{settings})",
                f"{own}(x)",
                (f"layers.BatchNormalization(momentum={1 - momentum:g}, epsilon={eps}{plain})(x)",),
            )
        case layers.GroupNorm(groups, eps=eps):
            return Lines(
                f"{own} = nn.GroupNorm({groups}, {channels}, eps={eps})",
                f"{own}(x)",
                (f"layers.GroupNormalization({groups}, epsilon={eps})(x)",),
            )
        case layers.Activation(function):
            return Lines("", *_activation(function))
        case layers.MaxPool() | layers.AvgPool() as pool:
            return _pool(pool)
        case layers.GlobalAvgPool():
            return Lines("", "x.mean((2, 3))", ("layers.GlobalAveragePooling2D()(x)",))
        case layers.Flatten():
            # The kernel after it has its columns permuted; at the end there is none, and Permute is needed.
            ordered = () if node.following or not image else ("layers.Permute((3, 1, 2))(x)",)
            return Lines("", "x.flatten(1)", (*ordered, "layers.Flatten()(x)"))
        case layers.Dense(out, bias=bias):
            return Lines(
                f"{own} = nn.Linear({channels}, {out}{'' if bias else ', bias=False'})",
                f"{own}(x)",
                (f"layers.Dense({out}{'' if bias else ', use_bias=False'})(x)",),
            )
        case layers.Dropout(rate):
            return Lines(f"{own} = nn.Dropout({rate})", f"{own}(x)", (f"layers.Dropout({rate})(x)",))
        case layers.SpatialDropout(rate):
            right = (f"layers.SpatialDropout2D({rate})(x)",)
            return Lines(f"{own} = nn.Dropout2d({rate})", f"{own}(x)", right)
    raise ValueError(f"{node.name} has layers inside, of which no file is written.")


def _left_conv(conv: layers.Conv, channels: int) -> str:
    options = {
        "stride": (conv.stride, 1),
        "padding": (conv.padding, 0),
        "groups": (conv.groups, 1),
        "dilation": (conv.dilation, 1),
        "bias": (conv.bias, True),
    }
    written = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
    return f"nn.Conv2d({', '.join(map(str, [channels, conv.out_channels, conv.kernel_size, *written]))})"


def _right_conv(conv: layers.Conv, node: Node) -> tuple[str, ...]:
    """Keras' padding "same" is PyTorch's where it is half the kernel, without stride and dilation."""
    sides, padding = pair(conv.kernel_size), pair(conv.padding)
    same = conv.stride == conv.dilation == 1 and all(
        side == 2 * margin + 1 for side, margin in zip(sides, padding, strict=True)
    )
    options = {
        "strides": (conv.stride, 1),
        "padding": ('"same"' if same and any(padding) else None, None),
        "dilation_rate": (conv.dilation, 1),
        "use_bias": (conv.bias, True),
    }
    depthwise = conv.is_depthwise(node.input_shape)
    kind, size = ("DepthwiseConv2D", []) if depthwise else ("Conv2D", [conv.out_channels])
    if not depthwise:
        options["groups"] = conv.groups, 1
    written = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
    call = f"layers.{kind}({', '.join(map(str, [*size, conv.kernel_size, *written]))})(x)"
    before = (f"layers.ZeroPadding2D({conv.padding})(x)",) if any(padding) and not same else ()
    return (*before, call)


def _activation(function: str) -> tuple[str, tuple[str, ...]]:
    if function == "leaky_relu":
        return "F.leaky_relu(x, 0.01)", ("layers.LeakyReLU(negative_slope=0.01)(x)",)
    right = "layers.ReLU()(x)" if function == "relu" else f'layers.Activation("{function}")(x)'
    return f"F.{function}(x)", (right,)


def _pool(pool: layers.MaxPool | layers.AvgPool) -> Lines:
    kind, short = ("Max", "max") if isinstance(pool, layers.MaxPool) else ("Average", "avg")
    settings = [pool.kernel_size, pool.stride, pool.padding] if pool.padding else [pool.kernel_size]
    settings = [pool.kernel_size, pool.stride] if pool.stride and not pool.padding else settings
    stride = "" if pool.stride is None else f", strides={pool.stride}"
    call = f"layers.{kind}Pooling2D({pool.kernel_size}{stride})(x)"
    before: tuple[str, ...] = ()
    if pool.padding:
        rows, columns = ((margin, margin) for margin in pair(pool.padding))
        value = (
            PADDED_POOL.format(rows, columns) if kind == "Max" else f"layers.ZeroPadding2D({pool.padding})(x)"
        )
        before = (value,)
    return Lines("", f"F.{short}_pool2d({', '.join(map(str, ['x', *settings]))})", (*before, call))


def _optimizer(optimizer: Optimizer, rate: float) -> tuple[str, str]:
    """The call of torch.optim, and of keras.optimizers."""
    match optimizer:
        case SGD(momentum=momentum, nesterov=nesterov):
            settings = f", momentum={momentum}" * bool(momentum) + ", nesterov=True" * nesterov
            left, right = f"SGD(parameters, lr={rate}{settings})", f"SGD({rate}{settings})"
        case Adam(beta1=beta1, beta2=beta2, eps=eps):
            left = f"Adam(parameters, lr={rate}, betas=({beta1}, {beta2}), eps={eps})"
            right = f"Adam({rate}, beta_1={beta1}, beta_2={beta2}, epsilon={eps})"
        case Adadelta(rho=rho, eps=eps):
            left = f"Adadelta(parameters, lr={rate}, rho={rho}, eps={eps})"
            right = f"Adadelta({rate}, rho={rho}, epsilon={eps})"
    return f"torch.optim.{left}", f"keras.optimizers.{right}"
