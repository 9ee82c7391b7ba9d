"""The shortest program that imports Keras and takes one training step of the network `pytorch-model-1`.

`python -m common.bench speed startup` compares the start of tf.py with it.
"""

import keras
import numpy as np

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(16, 5, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 5, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ]
)
model.compile(keras.optimizers.Adam(0.002), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.train_on_batch(np.random.rand(32, 28, 28, 1), np.random.randint(0, 10, 32))
print("done")
