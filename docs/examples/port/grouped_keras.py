"""A network of colour images with GroupNorm, GELU and LayerNorm, in Keras."""

import keras
from keras import layers


def build():
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.GroupNormalization(4, epsilon=1e-05)(x)
    x = layers.Activation("gelu")(x)
    x = keras.ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=float("-inf"))
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(24, 1)(x)
    x = layers.GroupNormalization(4, epsilon=1e-05)(x)
    x = layers.Activation("gelu")(x)
    x = layers.SpatialDropout2D(0.25)(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(32)(x)
    x = layers.LayerNormalization(epsilon=1e-05)(x)
    x = layers.Activation("gelu")(x)
    x = layers.Dense(10)(x)
    return keras.Model(inputs, x)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def optimizer():
    return keras.optimizers.Adam(0.001, epsilon=1e-08)
