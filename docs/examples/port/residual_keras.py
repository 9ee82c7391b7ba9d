"""A network with a residual branch, in Keras."""

import keras
from keras import layers


def build():
    x = inputs = keras.Input((28, 28, 1))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(16, 3, strides=2)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-05)(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    shortcut = x
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-05)(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-05)(x)
    x = layers.Add()([x, shortcut])
    x = layers.ReLU()(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.AveragePooling2D(3, strides=2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Dense(10)(x)
    return keras.Model(inputs, x)


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def optimizer():
    return keras.optimizers.SGD(0.01, momentum=0.9)
