"""An example of each kind of layer, for the tests of shapes, costs, formulas, digests and frameworks."""

from __future__ import annotations

from dataclasses import dataclass

from common.model import spec
from common.model.spec import Layer, ModelSpec, Node, Shape


@dataclass(frozen=True)
class Example:
    """A layer with the shape of its input, and its place in docs/math.md.

    `row` is the first cell of its row in the page's table of costs; `formulas` are its functions there.
    """

    layer: Layer
    shape: Shape
    row: str
    formulas: tuple[str, ...]

    @property
    def network(self) -> ModelSpec:
        """The layer and, as an optimizer requires weights, Dense; Flatten where vectors are needed."""
        before = () if len(self.shape) == 3 else (spec.Flatten(),)
        after = () if len(self.layer.output_shape(self.shape)) == 1 else (spec.Flatten(),)
        layers = (*before, self.layer, *after, spec.Dense(5))
        return ModelSpec(self.layer.kind, layers, (*self.shape, 1, 1)[:3])


IMAGE = (4, 6, 7)
EXAMPLES = (
    Example(spec.Conv(6, 3, padding=1), IMAGE, "convolution, G groups", ("conv", "depthwise")),
    Example(spec.BatchNorm(), IMAGE, "batch normalisation", ("batch_norm_training", "batch_norm_inference")),
    Example(spec.GroupNorm(1), IMAGE, "group normalisation", ("group_norm",)),
    Example(spec.Residual(spec.Activation("tanh")), IMAGE, "residual", ("add",)),
    Example(spec.Concat((), (spec.Activation("tanh"),)), IMAGE, "concatenation", ("concatenate",)),
    Example(spec.Activation(), IMAGE, "activation", ("relu", "elementwise")),
    Example(spec.MaxPool(2, 2), IMAGE, "max pooling, average pooling", ("max_pool", "pool")),
    Example(spec.AvgPool(3, 2), IMAGE, "max pooling, average pooling", ("pool", "mean")),
    Example(spec.GlobalAvgPool(), IMAGE, "global average pooling", ("global_avg_pool",)),
    Example(spec.Flatten(), IMAGE, "flatten", ("flatten",)),
    Example(spec.Dense(3), (7,), "dense", ("dense",)),
    Example(spec.Dropout(0.125), IMAGE, "dropout, spatial dropout", ("dropout",)),
    Example(spec.SpatialDropout(0.25), IMAGE, "dropout, spatial dropout", ("spatial_dropout",)),
)


def node_of(layer: Layer, shape: Shape) -> Node:
    """The node of a single layer on an input of `shape`."""
    return next(ModelSpec("single", (layer, spec.Flatten()), shape).nodes())
