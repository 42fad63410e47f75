"""The peers' side: Meso-4 in Keras on TensorFlow, run by the peers' interpreter.

Written from the published description (``Afchar et al., WIFS 2018``); it reads the authors'
``.h5`` layer by layer, because Keras 3 no longer reads files of Keras 2 by itself. It imports
nothing of mesoscope.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from workers import serve

SIDE = 256
# Per block: filters, kernel, pool.
BLOCKS = ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))


class State:
    """What the tasks of one worker share."""

    model = None  # float pictures in 0..1 → probability of real
    scaled = None  # the same for uint8 pictures, / 255 inside


def build():
    """Meso-4 as published."""
    x = pictures = keras.Input((SIDE, SIDE, 3))
    for filters, kernel, pool in BLOCKS:
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(negative_slope=0.1)(layers.Dense(16)(x))
    x = layers.Dense(1, activation="sigmoid")(layers.Dropout(0.5)(x))
    return keras.Model(pictures, x)


def load(model, path: str) -> None:
    """Set the weights from an ``.h5`` of Keras 2: its layers with weights, in their order."""
    with h5py.File(path) as file:
        groups = [file[name] for name in file.attrs["layer_names"]]
        stored = [[np.asarray(g[w]) for w in g.attrs["weight_names"]] for g in groups]
    wanted = [layer for layer in model.layers if layer.weights]
    for layer, weights in zip(wanted, [w for w in stored if w], strict=True):
        layer.set_weights(weights)


def write_random(path: str) -> None:
    """Random weights in the authors' file layout, for where their files are absent."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        names = []
        for layer in build().layers:
            group = file.create_group(layer.name)
            names.append(layer.name.encode())
            held = []
            for variable, value in zip(layer.weights, layer.get_weights(), strict=True):
                if variable.name in ("gamma", "moving_variance"):
                    value = rng.uniform(0.5, 1.5, value.shape)
                if variable.name in ("beta", "moving_mean"):
                    value = rng.uniform(-0.5, 0.5, value.shape)
                held.append(f"{layer.name}/{variable.name}:0".encode())
                group.create_dataset(held[-1], data=np.asarray(value, np.float32))
            group.attrs["weight_names"] = held
        file.attrs["layer_names"] = names
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.1.5"


def start(weights: str | None = None, random: bool = False, threads: int = 0):
    """Build the network; ``threads`` is TensorFlow's intra-op pool, 0 = its own choice."""
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    if random:
        write_random(weights)
    State.model = build()
    if weights:
        load(State.model, weights)
    pictures = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    State.scaled = keras.Model(pictures, State.model(layers.Rescaling(1 / 255)(pictures)))
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}


def _caller(method: str):
    """``(n, 256, 256, 3) uint8`` → probabilities of real ``(n,)``, in one of four ways."""
    model = State.scaled
    if method.startswith("predict"):
        model.compile(jit_compile=method == "predict+xla")
        return lambda crops: model.predict(crops, batch_size=len(crops), verbose=0)[:, 0]
    signature = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8)]
    if method == "function+xla":  # compiles once a shape, so it is told the shape
        graph = tf.function(lambda x: model(x, training=False), jit_compile=True)
    else:
        graph = tf.function(lambda x: model(x, training=False), input_signature=signature)
    return lambda crops: graph(tf.constant(crops)).numpy()[:, 0]


def answers(crops: str, method: str = "predict"):
    """Probability of real of each crop."""
    return _caller(method)(np.load(crops)).tolist()


def score(crops: str, method: str, batch: int, callers: int, seconds: float):
    """Crops a second, uint8 in memory → probabilities."""
    call, stock = _caller(method), np.load(crops)
    if method.startswith("predict"):  # given all at once: that is what its loop is for
        groups = [stock]
        model = State.scaled
        call = lambda crops: model.predict(crops, batch_size=batch, verbose=0)  # noqa: E731
    else:
        groups = [stock[i : i + batch] for i in range(0, len(stock) - batch + 1, batch)]
    call(groups[0])

    def work(offset: int) -> int:
        done, at = 0, offset
        while time.perf_counter() < end or not done:
            group = groups[at % len(groups)]
            call(group)
            done, at = done + len(group), at + 1
        return done

    started = time.perf_counter()
    end = started + seconds
    with ThreadPoolExecutor(callers) as pool:
        done = sum(pool.map(work, range(callers)))
    return done / (time.perf_counter() - started)


def _generator(root: str, batch: int, workers: int = 1, shuffle: bool = False):
    """The authors' loader: Pillow, one thread, / 255 in numpy."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    made = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        root,
        target_size=(SIDE, SIDE),
        batch_size=batch,
        class_mode="binary",
        shuffle=shuffle,
        seed=1,
    )
    made.workers = workers
    return made


def _dataset(root: str, batch: int, shuffle: bool = False):
    """Today's loader: tf.data, as many threads as it likes."""
    made = keras.utils.image_dataset_from_directory(
        root, image_size=(SIDE, SIDE), batch_size=batch, label_mode="binary", shuffle=shuffle,
        seed=1, verbose=False,
    )  # fmt: skip
    scale = lambda x, y: (tf.cast(x, tf.float32) / 255, y)  # noqa: E731
    return made.map(scale, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def folder(root: str, n: int, way: str, batch: int):
    """Pictures a second, a folder of JPEGs → probabilities.

    ``example`` is the loop of the authors' example (next batch, predict it), ``generator`` hands
    the generator to predict, ``dataset`` is tf.data.
    """
    steps = max(1, n // batch)
    model = State.model
    model.compile(jit_compile=False)
    model.predict(np.zeros((batch, SIDE, SIDE, 3), np.float32), batch_size=batch, verbose=0)
    started = time.perf_counter()
    if way == "example":
        made = _generator(root, batch)
        done = sum(len(model.predict(next(made)[0], verbose=0)) for _ in range(steps))
    elif way == "generator":
        done = len(model.predict(_generator(root, batch), steps=steps, verbose=0))
    else:
        done = len(model.predict(_dataset(root, batch), steps=steps, verbose=0))
    return done / (time.perf_counter() - started)


class _Clock(keras.callbacks.Callback):
    """Notes the time after every step."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, *_, **__):
        self.times.append(time.perf_counter())


def train(root: str, way: str, batch: int, steps: int, warm: int, xla: bool):
    """Pictures a second in ``fit``, after ``warm`` steps.

    ``generator`` and ``dataset`` load from disk, ``memory`` trains on one batch over and over.
    """
    keras.utils.set_random_seed(1)
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mean_squared_error", jit_compile=xla)
    if way == "generator":
        data = _generator(root, batch, workers=os.cpu_count(), shuffle=True)
    elif way == "dataset":
        data = _dataset(root, batch, shuffle=True).repeat()
    else:
        one = np.random.default_rng(1).random((batch, SIDE, SIDE, 3), np.float32)
        data = tf.data.Dataset.from_tensors((one, np.arange(batch)[:, None] % 2)).repeat()
    clock = _Clock()
    epochs, each = 1, steps
    if way == "generator":  # it ends with the folder
        each = min(steps, len(data))
        epochs = -(-steps // each)
    model.fit(data, epochs=epochs, steps_per_epoch=each, callbacks=[clock], verbose=0)
    return (len(clock.times) - warm) * batch / (clock.times[-1] - clock.times[warm - 1])


def read(root: str, way: str, batch: int, steps: int):
    """Pictures a second of a loader with nobody behind it."""
    if way == "generator":
        data = iter(_generator(root, batch, shuffle=True))
    else:
        data = iter(_dataset(root, batch, shuffle=True).repeat())
    next(data)
    started = time.perf_counter()
    done = sum(len(x) for x, _ in islice(data, steps))
    return done / (time.perf_counter() - started)


def once(picture: str, weights: str) -> None:
    """What a script does that judges one picture: load the model, predict, print."""
    from PIL import Image

    model = build()
    load(model, weights)
    x = np.asarray(Image.open(picture).convert("RGB").resize((SIDE, SIDE)), np.float32)[None] / 255
    print(float(model.predict(x, verbose=0)[0, 0]))


if __name__ == "__main__":
    import sys

    if sys.argv[1:]:
        once(*(str(Path(a)) for a in sys.argv[1:]))
    else:
        serve(
            {"start": start, "answers": answers, "score": score, "folder": folder, "train": train,
             "read": read}
        )  # fmt: skip
