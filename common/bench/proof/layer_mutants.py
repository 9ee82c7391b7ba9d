"""Mistakes in layers: constants, activations, paddings, the order of features, dropout, inputs, outputs."""

from __future__ import annotations

from collections.abc import Iterator

from common.bench.proof import changes
from common.bench.proof.changes import all_of, first_of, having, swap
from common.bench.proof.mutant import Mutant, at_end, at_start, mistake
from common.model.layers import AvgPool, MaxPool


def of_layers() -> Iterator[Mutant]:
    """Mistakes in layers and images."""
    yield from mistake(
        "batchnorm-epsilon",
        "batchnorm-epsilon",
        "forward",
        left=swap(r"(nn\.BatchNorm\dd\(\d+)\)", r"\1, eps=0.001)", "last"),
        right=swap(r"(layers\.BatchNormalization\(.*?), epsilon=1e-05\)", r"\1)"),
    )
    yield from mistake(
        "batchnorm-momentum",
        "batchnorm-momentum",
        "statistics",
        left=swap(r"(nn\.BatchNorm\dd\(\d+)\)", r"\1, momentum=0.9)"),
        right=swap(r"(layers\.BatchNormalization\()momentum=0\.9, ", r"\1", "first"),
    )
    yield from mistake(
        "batchnorm-variance",
        "batchnorm-variance",
        "statistics",
        right=having(r"layers\.BatchNormalization"),
    )
    layer_norm = (
        all_of(
            swap(
                r"( +)self\.(dense\d+) = nn\.Linear\((\d+), .*\n",
                r"\1self.layernorm1 = nn.LayerNorm(\3)\n\g<0>",
                "last",
            ),
            swap(r"self\.dense\d+\(x\)", r"self.layernorm1(x)\n        x = \g<0>", "last"),
        ),
        swap(
            r"    x = layers\.Dense\(", r"    x = layers.LayerNormalization(epsilon=1e-05)(x)\n\g<0>", "last"
        ),
    )
    yield from mistake(
        "layernorm-epsilon",
        "layernorm-epsilon",
        "forward",
        prepared=(
            first_of(having(r"nn\.LayerNorm"), layer_norm[0]),
            first_of(having(r"layers\.LayerNormalization"), layer_norm[1]),
        ),
        left=swap(r"nn\.LayerNorm\((\d+)\)", r"nn.LayerNorm(\1, eps=0.001)"),
        right=swap(r"layers\.LayerNormalization\(epsilon=1e-05\)", "layers.LayerNormalization()"),
    )
    yield from mistake(
        "groupnorm-epsilon",
        "groupnorm-epsilon",
        "forward",
        variant=changes.grouped,
        left=swap(r"(nn\.GroupNorm\(\d+, \d+), eps=1e-05\)", r"\1, eps=0.001)", "last"),
        right=swap(r"(layers\.GroupNormalization\(\d+), epsilon=1e-05\)", r"\1)"),
    )
    yield from mistake(
        "leaky-relu-slope",
        "leaky-relu-slope",
        "forward",
        variant=changes.with_function("leaky_relu"),
        left=swap(r"F\.leaky_relu\(x, [\d.]+\)", "F.leaky_relu(x, 0.2)"),
        right=swap(r"layers\.LeakyReLU\(negative_slope=[\d.]+\)", "layers.LeakyReLU()"),
    )
    yield from mistake(
        "gelu-approximation",
        "gelu-approximation",
        "forward",
        variant=changes.with_function("gelu"),
        left=swap(r"F\.gelu\(x\)", 'F.gelu(x, approximate="tanh")'),
        right=first_of(
            swap(
                r'layers\.Activation\("gelu"\)\(x\)', "keras.activations.gelu(x, approximate=True)", "first"
            ),
            swap(r"keras\.activations\.gelu\(x\)", "keras.activations.gelu(x, approximate=True)"),
        ),
    )
    yield from mistake(
        "activation-other",
        "activation",
        "forward",
        left=swap(r"F\.relu\(x\)", "F.elu(x)", "first"),
        right=first_of(
            swap(r"layers\.ReLU\(\)\(x\)", 'layers.Activation("silu")(x)', "first"),
            swap(r'activation="relu"', 'activation="silu"', "first"),
        ),
    )
    yield from mistake(
        "activation-missing",
        "activation",
        "forward",
        left=swap(r"        x = F\.relu\(x\)\n", "", "last"),
        right=first_of(
            swap(r"    x = layers\.ReLU\(\)\(x\)\n", "", "last"),
            swap(r', activation="relu"', "", "last"),
        ),
    )
    yield from mistake(
        "missing-bias",
        "missing-bias",
        "weights",
        left=swap(r"(nn\.(?:Conv2d|Linear)\((?!.*bias=).*)\)\n", r"\1, bias=False)\n", "last"),
        right=swap(
            r"(layers\.(?:Conv2D|Dense)\((?![^\n]*use_bias=)[^\n)]*)\)", r"\1, use_bias=False)", "first"
        ),
    )
    left, right = at_start(
        "x / 255", "layers.Normalization(mean=0.1307, variance=0.3081**2)(x)", "(x - 0.1307) / 0.3081"
    )
    yield from mistake("input-scaling", "input-scaling", "forward", left=left, right=right)
    left, right = at_end("F.softmax(x, dim=1)", "keras.activations.softmax(x)")
    yield from mistake("softmax-output", "softmax-output", "forward loss", left=left, right=right)


ACTIVE = r"""


class Always\1(layers.\1):
    def call(self, x, training=None):
        return super().call(x, training=True)"""


def of_padding() -> Iterator[Mutant]:
    """Mistakes in paddings, in the order of features, and in dropout."""
    yield from mistake(
        "padding-same-stride",
        "padding-same-stride",
        "forward",
        variant=changes.strided,
        left=first_of(
            *(
                all_of(
                    swap(rf"(self\.conv1 = nn\.Conv2d\(.*stride=2), padding={after}\b", r"\1"),
                    swap(r"self\.conv1\(x\)", f"self.conv1(F.pad(x, ({after - 1}, {after}) * 2))"),
                )
                for after in (1, 2, 3)
            )
        ),
        right=first_of(
            swap(
                r" +x = layers\.ZeroPadding2D\(\d\)\(x\)\n( +x = layers\.Conv2D\([^\n)]*)\)",
                r'\1, padding="same")',
                "first",
            ),
            all_of(
                swap(r" +x = self\.pad1\(x\)\n", ""),
                swap(r"(self\.conv1 = layers\.Conv2D\([^\n)]*)\)", r'\1, padding="same")'),
            ),
        ),
    )
    yield from mistake(
        "pooling-padding-max",
        "pooling-padding",
        "forward",
        variant=changes.with_pool(MaxPool),
        left=swap(
            r"F\.max_pool2d\(x, 3, 2, 1\)",
            'F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=float("-inf")), 3, 2)',
        ),
        right=swap(
            r" +x = keras\.ops\.pad\(.*\n( +x = layers\.MaxPooling2D\([^\n)]*)\)", r'\1, padding="same")'
        ),
    )
    yield from mistake(
        "pooling-padding-average",
        "pooling-padding",
        "forward",
        variant=changes.with_pool(AvgPool),
        left=swap(r"F\.avg_pool2d\(x, 3, 2, 1\)", "F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)"),
        right=swap(
            r" +x = layers\.ZeroPadding2D\(1\)\(x\)\n( +x = layers\.AveragePooling2D\([^\n)]*)\)",
            r'\1, padding="same")',
        ),
    )
    yield from mistake(
        "flatten-order",
        "flatten-order",
        "forward",
        variant=changes.until_flatten,
        left=swap(r"x\.flatten\(1\)(?=\n +return x\n)", "x.permute(0, 2, 3, 1).flatten(1)"),
        right=swap(r" +x = layers\.Permute\(\(3, 1, 2\)\)\(x\)\n", ""),
    )
    yield from mistake(
        "dropout-active",
        "dropout-active",
        "forward",
        variant=changes.with_dropout,
        left=first_of(
            swap(r"(?s)(self\.(dropout\d) = nn\.Dropout\(.*)self\.\2\(x\)", r"\1F.dropout(x, self.\2.p)"),
            swap(r"(?s)(self\.(dropout\d) = nn\.Dropout2d.*)self\.\2\(x\)", r"\1F.dropout2d(x, self.\2.p)"),
        ),
        right=first_of(
            swap(r"(self\.dropout\d+\(x, training=)training\)", r"\1True)", "last"),
            # Keras' functional models overrule a `training=True` in the call of a layer.
            all_of(
                swap(r"layers\.(Dropout|SpatialDropout2D)\(", r"Always\1(", "last"),
                swap(r"(?s)(?=\n\n\ndef build.*Always(\w+))", ACTIVE),
            ),
        ),
    )
    yield from mistake(
        "dropout-channels",
        "dropout-kind",
        "statistics",
        variant=changes.with_channel_dropout,
        left=swap(r"nn\.Dropout2d\(", "nn.Dropout("),
        right=swap(r"layers\.SpatialDropout2D\(", "layers.Dropout("),
    )
    yield from mistake(
        "dropout-rate",
        "dropout-kind",
        "statistics",
        variant=changes.with_dropout,
        left=swap(r"nn\.Dropout\([\d.]+\)", "nn.Dropout(0.75)", "last"),
        right=swap(r"layers\.Dropout\([\d.]+\)", "layers.Dropout(0.75)", "first"),
    )
