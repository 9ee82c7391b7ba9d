"""A network with BatchNorm and LayerNorm, as a subclass of keras.Model."""

import keras
from keras import layers

input_shape = (14, 14, 1)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.pad1 = layers.ZeroPadding2D(1)
        self.conv1 = layers.Conv2D(8, 3, strides=2)
        self.norm1 = layers.BatchNormalization(momentum=0.9, epsilon=1e-05)
        self.leaky1 = layers.LeakyReLU(negative_slope=0.1)
        self.conv2 = layers.Conv2D(16, 3, padding="same", activation="relu")
        self.flatten1 = layers.Flatten()
        self.dense1 = layers.Dense(32)
        self.norm2 = layers.LayerNormalization(epsilon=1e-05)
        self.dropout1 = layers.Dropout(0.25)
        self.dense2 = layers.Dense(10)

    def call(self, x, training=None):
        x = self.pad1(x)
        x = self.conv1(x)
        x = self.norm1(x, training=training)
        x = self.leaky1(x)
        x = self.conv2(x)
        x = self.flatten1(x)
        x = self.dense1(x)
        x = self.norm2(x)
        x = keras.activations.gelu(x)
        x = self.dropout1(x, training=training)
        x = self.dense2(x)
        return x


def build():
    return Net()


loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def optimizer():
    return keras.optimizers.Adam(0.001, epsilon=1e-08)
