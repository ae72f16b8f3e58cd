"""A training by one process or by several, which `test_workers` starts and compares.

    python -c "from tests.training import together; together.main()" OUT [name=value ...]

The network has a convolution, batch normalization and dropout, but neither ReLU nor maximum: of those, a rounding of
1e-7 now and then decides which gradient is zero.
"""

import dataclasses
import os
import signal
import subprocess
import sys
import types

import numpy as np

from kerasnets import data, recipes
from kerasnets.runtime.backends import environment
from kerasnets.runtime.connections import free_port
from tests.conftest import ROOT

BACKENDS = ("torch", "tensorflow", "jax")
EPOCHS, COUNT, TESTS = 3, 251, 60  # 200 of the pictures are trained on, in batches of 32, of which the last has 8
RECIPE = recipes.with_changes(
    recipes.own("smooth", "squares"), batch_size=32, optimizer="sgd", learning_rate=0.05, momentum=0.9,
    schedule=("cosine", 1), weight_decay=1e-3, label_smoothing=0.1, augmentation="crop_flip", validation=0.2,
)  # fmt: skip


def squares(count=COUNT):
    """Noise whose upper half has the brightness of its class."""
    pixels = np.random.default_rng(0).integers(0, 256, (count + TESTS, 12, 12, 3), np.uint8)
    labels = np.arange(len(pixels)) % 4
    pixels[:, :6] = pixels[:, :6] // 4 + 48 * labels[:, None, None, None]
    return data.Data(pixels[:count], labels[:count], pixels[count:], labels[count:], "squares", tuple("abcd"))


def smooth(input_shape, num_classes, norm=True, noise=False, pools=False):
    import keras
    from keras import layers

    inputs = x = keras.Input(input_shape, name="input")
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(x)
    x = layers.BatchNormalization(name="norm1")(x) if norm else x
    x = layers.GaussianNoise(0.1, name="noise1")(x) if noise else x
    x = layers.AveragePooling2D(2, name="pool1")(layers.Activation("tanh", name="tanh1")(x))
    end = layers.GlobalAveragePooling2D(name="pool2") if pools else layers.Flatten(name="flatten")
    x = end(layers.Dropout(0.2, name="dropout1")(x))
    x = layers.Dropout(0.2, name="dropout2")(layers.Dense(32, activation="tanh", name="dense1")(x))
    return keras.Model(inputs, layers.Dense(num_classes, name="logits")(x), name="smooth")


def train_squares(
    out,
    *,
    resume=False,
    stop=None,
    count=COUNT,
    minutes=None,
    epochs=EPOCHS,
    seed=0,
    batch=32,
    own=False,
    settings=None,
    **options,
):
    """Train; with `stop`, (rank, epoch, step, number), that worker sends itself a signal after that step."""
    from kerasnets import train  # first: it chooses the backend
    from kerasnets.runtime import meeting, signals
    from kerasnets.training import callbacks, jobs, workers

    meeting.SILENCE = 600  # a busy machine may leave a worker without time for a beat
    usual = jobs.models, callbacks.Figures.on_train_batch_end, workers.AGREE

    def signal_after_step(figures, batch, logs=None):
        usual[1](figures, batch, logs)
        here = workers.place()
        if stop and (here.rank, figures.epoch, len(figures.running)) == tuple(stop[:3]) and not here.restarts:
            if here.count > 1:
                os.kill(os.getpid(), stop[3])
            else:  # a process of a test takes no signals
                signals.Signals.received = stop[3]

    jobs.models = types.SimpleNamespace(check_name=str, build=lambda name, **more: smooth(**more, **options))
    callbacks.Figures.on_train_batch_end = signal_after_step
    workers.AGREE = 0  # the workers ask each other after each step
    try:
        recipe = dataclasses.replace(RECIPE, batch_size=batch, **settings or {})
        train(
            recipe, arrays=squares(count), out=out, resume=resume, checkpoint_minutes=minutes, epochs=epochs, seed=seed,
            worker_statistics=own,
        )  # fmt: skip
    except signals.Stopped:
        if workers.place().count > 1:
            raise
    finally:
        jobs.models, callbacks.Figures.on_train_batch_end, workers.AGREE = usual
        signals.Signals.received = None


def weights(path):
    """The weights in a model file, by name."""
    from kerasnets import saving

    network, _ = saving.load(path)
    return [np.array(each) for each in network.get_weights()]


def main():
    import ast

    from kerasnets.cli import app

    out, *settings = sys.argv[1:]
    pairs = (setting.split("=") for setting in settings)
    app.run(lambda: train_squares(out, **{name: ast.literal_eval(value) for name, value in pairs}))


MAIN = "from tests.training import together; together.main()"


def start(backend, *arguments, count=2, each=lambda rank: ()):
    """Start `count` workers as a person would; `each` gives more arguments of one."""
    port = free_port("localhost")
    shared = {"KERAS_BACKEND": backend, "WORLD_SIZE": str(count), "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", MAIN, *map(str, arguments), *each(rank)],
            env=environment(**shared, RANK=str(rank)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def run(backend, *arguments, count=2, each=lambda rank: ()):
    """[(exit code, stdout, stderr) of each worker]."""
    processes = start(backend, *arguments, count=count, each=each)
    outputs = [process.communicate() for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def torchrun(backend, *arguments, count=2, restarts=0):
    """Start workers by torchrun."""
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    script = "--no-python", sys.executable, "-W", "ignore", "-c", MAIN
    return subprocess.Popen(
        [sys.executable, *command, "--max-restarts", str(restarts), *script, *map(str, arguments)],
        env=environment(KERAS_BACKEND=backend),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


STOPPED, KILLED = 128 + signal.SIGTERM, -signal.SIGKILL
