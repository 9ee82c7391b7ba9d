"""The shortest program that imports Keras and takes one training step of TensorFlow's default network.

`python -m common.bench speed startup` compares the start of tf.py with it.
"""

import keras
import numpy as np

model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.train_on_batch(np.random.rand(128, 28, 28, 1), np.random.randint(0, 10, 128))
print("done")
