"""Several workers train as one does, go on after any stop, and say what they cannot do."""

import contextlib
import functools
import io
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from kerasnets.errors import BadInputError
from kerasnets.training import checkpoints
from tests.conftest import mostly_first, mostly_on_torch
from tests.training import together
from tests.training.together import STOPPED

NEAR = 5e-6  # of a network with batch normalization
NEARER = 1e-6  # of one without


def distance(one, other):
    """The largest difference of two lists of weights."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def succeed(results):
    for code, _, errors in results:
        assert code == 0, errors


def alone(worker, out, **settings):
    """The weights of a training by one process, which has as many threads as one of several."""
    worker(set_one_thread)
    worker(functools.partial(together.train_squares, out, **settings))
    return worker(together.weights, out)


def set_one_thread():
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)


# ---- the same numbers ----


@mostly_on_torch
def test_two_workers_stopped_in_an_epoch_are_gone_on_with_by_one(worker, tmp_path):
    """Also tests that both stop after the same step, when one gets a signal, and that worker 0 alone prints."""
    expected = alone(worker, tmp_path / "one.keras")
    out = tmp_path / "two.keras"
    stop = f"stop=(1, 1, 3, {int(signal.SIGTERM)})"
    (code, output, errors), other = together.run(worker.backend, out, "minutes=60", stop)
    assert (code, other) == (STOPPED, (STOPPED, "", ""))
    assert "stopped by SIGTERM; 1 of 3 epochs and 3 of 7 steps are kept" in errors
    assert "epoch 1/3" in output
    assert [path.stem for path in checkpoints.files(tmp_path / "two/checkpoints")] == [
        "epoch-00001", "epoch-00001-step-0000003",
    ]  # fmt: skip
    assert distance(alone(worker, out, resume=True), expected) <= NEAR


@pytest.mark.all_backends
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
def test_two_workers_give_the_weights_of_one(worker, tmp_path):
    succeed(together.run(worker.backend, tmp_path / "two.keras"))
    succeed(together.run(worker.backend, tmp_path / "plain.keras", "norm=False"))
    for name, most, settings in (("two", NEAR, {}), ("plain", NEARER, {"norm": False})):
        expected = alone(worker, tmp_path / f"one-{name}.keras", **settings)
        assert distance(worker(together.weights, tmp_path / f"{name}.keras"), expected) <= most


@pytest.mark.all_backends
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
def test_every_setting_is_the_same_for_two_workers(worker, tmp_path):
    settings = {
        "mixup": 0.2, "cutmix": 1.0, "random_erasing": 0.25, "ema": 0.9, "gradient_clip": 0.5, "accumulate": 2,
        "class_weights": "balanced", "decay_norms": False,
    }  # fmt: skip
    expected = alone(worker, tmp_path / "one.keras", settings=settings)
    succeed(together.run(worker.backend, tmp_path / "two.keras", f"settings={settings}"))
    assert distance(worker(together.weights, tmp_path / "two.keras"), expected) <= NEAR


@pytest.mark.all_backends
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
def test_two_workers_take_photos_that_grow(worker, tmp_path):
    """Stopped in the epoch before they grow. Of 253 pictures the last batch is parted unequally."""
    settings = {"settings": {"augmentation": "photo", "progressive_size": (8, 12)}, "pools": True, "count": 253}
    more = [f"{name}={value}" for name, value in settings.items()]
    expected = alone(worker, tmp_path / "one.keras", **settings)
    whole, out = tmp_path / "whole.keras", tmp_path / "parts.keras"
    succeed(together.run(worker.backend, whole, *more))
    assert distance(worker(together.weights, whole), expected) <= NEAR
    stopped = together.run(worker.backend, out, "minutes=60", f"stop={(1, 1, 3, 15)}", *more)
    assert [code for code, _, _ in stopped] == [STOPPED] * 2, stopped
    succeed(together.run(worker.backend, out, "resume=True", *more))
    assert distance(*(worker(together.weights, path) for path in (whole, out))) == 0


@pytest.mark.all_faults
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
@pytest.mark.parametrize("count", [253, 242], ids=["an unequal share", "an empty share"])
def test_shares_may_be_unequal_or_empty(worker, tmp_path, count):
    """Of 253 pictures 202 are trained on, of 242 193: the last batch has 10 or 1."""
    expected = alone(worker, tmp_path / "one.keras", count=count)
    succeed(together.run(worker.backend, tmp_path / "two.keras", f"count={count}", count=2 + (count == 253)))
    assert distance(worker(together.weights, tmp_path / "two.keras"), expected) <= NEAR


@pytest.mark.all_faults
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
@pytest.mark.parametrize("count", [2, 3])
def test_stopped_and_resumed_workers_give_the_weights_of_uninterrupted_ones(worker, tmp_path, count):
    whole, out = tmp_path / "whole.keras", tmp_path / "parts.keras"
    succeed(together.run(worker.backend, whole, count=count))
    for stop in ((0, 0, 2), (count - 1, 1, 6), (1, 2, 7)):
        results = together.run(worker.backend, out, "resume=True", "minutes=60", f"stop={(*stop, 15)}", count=count)
        assert [code for code, _, _ in results] == [STOPPED] * count, results
    succeed(together.run(worker.backend, out, "resume=True", count=count))
    assert distance(*(worker(together.weights, path) for path in (whole, out))) == 0


@pytest.mark.all_faults
@pytest.mark.parametrize("worker", ["torch", "tensorflow"], indirect=True)
def test_statistics_of_each_worker_depend_on_their_number(worker, tmp_path):
    """One worker may not go on with them; of an empty share they are no NaN."""
    expected = alone(worker, tmp_path / "one.keras", count=242)
    out = tmp_path / "two.keras"
    succeed(together.run(worker.backend, out, "own=True", "count=242"))
    assert NEAR < distance(worker(together.weights, out), expected) < 1
    with pytest.raises(BadInputError, match="batch statistics of each of 2 workers"):
        alone(worker, out, count=242, resume=True)


@mostly_on_torch
def test_a_training_stopped_in_an_epoch_goes_on_from_that_step(worker, tmp_path):
    """By one process: weights and all figures are equal to the last bit."""
    expected = alone(worker, tmp_path / "whole.keras")
    out = tmp_path / "parts.keras"
    worker(functools.partial(together.train_squares, out, stop=(0, 0, 2, 15), minutes=60))
    worker(functools.partial(together.train_squares, out, stop=(0, 2, 6, 15), minutes=60, resume=True))
    assert distance(alone(worker, out, resume=True), expected) == 0
    assert (tmp_path / "parts/batches.csv").read_text() == (tmp_path / "whole/batches.csv").read_text()


# ---- several devices in one process ----


@pytest.mark.all_backends
def test_devices_of_one_process_give_the_weights_of_one_on_jax(workers, tmp_path, monkeypatch):
    """The last batch of an epoch, of 10, cannot be parted; the last steps are computed by one device."""
    expected = alone(workers["jax"], tmp_path / "one.keras", count=253)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    out, stop = tmp_path / "four.keras", f"stop=(0, 1, 3, {int(signal.SIGTERM)})"
    [(code, _, errors)] = together.run("jax", out, "count=253", "minutes=60", stop, count=1)
    assert code == 0, errors
    assert "note: the 4 devices of JAX compute each batch together" in errors
    assert len(checkpoints.files(tmp_path / "four/checkpoints")) == 2
    assert distance(alone(workers["jax"], out, count=253, resume=True), expected) <= NEAR


def alone_with(count):
    """Whether one process that finds `count` devices computes like one that finds one, and what it prints."""
    from kerasnets.training import workers

    usual, workers.devices = workers.devices, lambda backend: count
    try:
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            return workers.alone() is workers.ALONE, stderr.getvalue()
    finally:
        workers.devices = usual


def test_one_process_says_that_it_computes_on_one_of_several_gpus(workers):
    words = "torch computes on one of 8 GPUs here; all compute by: torchrun --standalone --nproc-per-node 8 -m"
    assert workers["torch"](alone_with, 1) == (True, "")
    is_alone, note = workers["torch"](alone_with, 8)
    assert is_alone
    assert words in note


def note_on(size, parts):
    """What a Group of one process with `parts` devices prints on batches of `size`."""
    from kerasnets.runtime.workers import Place
    from kerasnets.training.workers import Group

    group = Group(Place())
    group.engine = SimpleNamespace(equal_shares=True, parts=parts)
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        group.check_batch(size)
    return stderr.getvalue()


def test_a_batch_that_no_step_can_part_is_noted(workers):
    assert workers["torch"](note_on, 96, 8) == ""
    assert "8 devices cannot part a batch of 100 images equally" in workers["torch"](note_on, 100, 8)


# ---- a worker is lost ----


@pytest.mark.all_faults  # tests/runtime/test_meeting.py has it without a training in every run
@pytest.mark.parametrize("backend", together.BACKENDS)
@pytest.mark.parametrize("lost", [0, 1])
def test_the_others_name_the_last_checkpoint_when_a_worker_is_killed(backend, tmp_path, lost):
    results = together.run(backend, tmp_path / "a.keras", f"stop=({lost}, 1, 3, 9)")
    code, _, errors = results[1 - lost]
    assert code == 4
    assert f"error: worker {lost} ended; the last checkpoint is {str(tmp_path)[-10:]}"[:30] in errors
    assert "epoch-00001.npz; --resume goes on with it" in errors


@pytest.mark.all_faults
@pytest.mark.parametrize("worker", together.BACKENDS, indirect=True)
@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_killed_under_torchrun_goes_on_by_itself(worker, tmp_path, lost):
    succeed(together.run(worker.backend, tmp_path / "whole.keras"))
    out = tmp_path / "parts.keras"
    running = together.torchrun(worker.backend, out, "minutes=0.0001", f"stop=({lost}, 1, 3, 9)", restarts=2)
    output, _ = running.communicate()
    assert running.returncode == 0, output
    assert "resuming after epoch 1 of 3 and " in output
    assert distance(*(worker(together.weights, tmp_path / f"{name}.keras") for name in ("whole", "parts"))) == 0


# ---- what cannot be is refused ----


REFUSALS = {
    "other data": (lambda rank: [f"count={251 - rank}"], "worker 1 has other training data"),
    "another seed": (lambda rank: [f"seed={rank}"], "worker 1 has"),
    "a small batch": (lambda rank: ["batch=1"], "a batch of 1 images has no work for 2 workers"),
    "own noise": (lambda rank: ["noise=True"], "cannot be trained by several workers: layer noise1 draws"),
}


@pytest.mark.parametrize("case", mostly_first(REFUSALS))
def test_workers_that_cannot_train_together_say_so_in_one_line(tmp_path, case):
    each, words = REFUSALS[case]
    (code, _, errors), other = together.run("torch", tmp_path / "a.keras", each=each)
    assert code == 2
    assert words in errors
    assert errors.count("\n") == 1
    assert other[1:] == ("", "")
    assert other[0]
    assert not (tmp_path / "a.keras").exists()


def shares_of(equal, count, chosen):
    """The share of each of `count` workers."""
    from kerasnets.runtime.workers import Place
    from kerasnets.training.workers import Group

    groups = [Group(Place(rank=rank, count=count)) for rank in range(count)]
    for group in groups:
        group.engine = SimpleNamespace(equal_shares=equal, parts=count)
    return [group.share(chosen) for group in groups]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("total", [1, 2, 7, 12])
def test_shares_together_are_the_batch_in_its_order(workers, count, total):
    chosen = np.arange(total) * 3
    shares = workers["torch"](shares_of, False, count, chosen)
    np.testing.assert_array_equal(np.concatenate(shares), chosen)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_that_jax_cannot_part_equally_goes_to_all(workers):
    shares = workers["torch"](shares_of, True, 2, np.arange(7))
    assert [len(share) for share in shares] == [7, 7]
    assert [len(share) for share in workers["torch"](shares_of, True, 2, np.arange(8))] == [4, 4]
