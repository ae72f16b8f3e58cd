"""What the programs that log a training learn of it: its figures, and how it ended."""

import contextlib
import functools
import importlib.util
import os
import struct
import sys
import threading
import types
import warnings
from pathlib import Path
from unittest import mock

import pytest

import kerasnets
from kerasnets import recipes
from kerasnets.runtime import signals
from tests.stand_ins import few_digits

RECIPE = recipes.with_changes(recipes.own("fc2layer", "digits"), batch_size=32, epochs=2)
ENDS = {  # case -> how the callback of the training ends it after its first epoch
    "whole": None,
    "Ctrl-C": signals.Stopped(2),
    "SIGTERM": signals.Stopped(15),
    "a notebook's stop": KeyboardInterrupt(),
    "crash": RuntimeError("my callback"),
    "NaN": FloatingPointError("diverged"),
    "full disk": OSError(28, "No space left on device"),
    "memory": RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
}
STATUS = dict(zip(ENDS, ("FINISHED", "KILLED", "KILLED", "KILLED", *["FAILED"] * 4), strict=True))
EPOCH, TEST = ["accuracy", "loss", "seconds", "val_accuracy", "val_loss"], ["test_accuracy", "test_loss"]
CODE = dict(zip(ENDS, (0, 130, 143, 130, 1, 5, 4, 4), strict=True))


# ---- run in a worker ----


def train(log, out, error=None, **options):
    """The class and words of the error that a training ends with; None for a whole one."""
    import keras

    class End(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if error is not None:
                raise error

    with warnings.catch_warnings():
        warnings.simplefilter("default")  # the real packages have some of their own
        try:
            kerasnets.train(RECIPE, arrays=few_digits(), out=out, log=log, callbacks=[End()], **options)
        except BaseException as caught:
            return type(caught).__name__, str(caught)
    return None


class Calls:
    """Stands for the module of a program: keeps the calls, of which `fails` raise an error.

    `runs` are MLflow's active ones: `start_run` adds one and `end_run` takes the last away. `run` is that of W&B.
    """

    __spec__ = importlib.util.spec_from_loader("stand_in", None)

    MlflowException = Error = RuntimeError  # of `call`

    def __init__(self, fails=(), runs=()):
        self.calls, self.fails = [], fails
        self.runs, self.thread = list(runs), threading.get_ident()
        self.run = self if runs else None

    def __getattr__(self, name):
        def call(*values, **options):
            if name in self.fails:
                raise RuntimeError(f"no {name}\ntoday")
            self.calls.append((name, values, options))
            if name == "start_run":
                self.runs.append("7")
            if name == "end_run":
                self.runs.pop()
            return self

        return call

    def active_run(self):  # of this thread
        is_active = self.runs and threading.get_ident() == self.thread
        info = types.SimpleNamespace(run_id=self.runs[-1], experiment_id="theirs") if is_active else None
        return types.SimpleNamespace(info=info) if is_active else None

    @property
    def info(self):
        return types.SimpleNamespace(run_id="7", lifecycle_stage="active", experiment_id="5")

    @property
    def summary(self):
        return {}

    @property
    def id(self):
        return "w1"


def named(calls, name):
    """[(values, options)] of the calls with a name."""
    return [(values, options) for called, values, options in calls if called == name]


@contextlib.contextmanager
def installed(program, stand_in):
    """mock.patch.dict would take away the modules that the block imports, Keras' too."""
    before = sys.modules.get(program)
    sys.modules[program] = stand_in
    try:
        yield
    finally:
        del sys.modules[program]
        sys.modules.update({} if before is None else {program: before})


def train_with(out, error=None, fails=(), programs=("wandb", "mlflow"), full_disk=False, runs=(), **options):
    """({program: calls of its stand-in}, the error of the training, the notes on it); no report is written."""
    import io

    from kerasnets.training import report

    calls, notes = {}, io.StringIO()
    with contextlib.ExitStack() as stack:
        for program in programs:
            stand_in = Calls(fails, runs)
            stack.enter_context(installed(program, stand_in))
            calls[program] = stand_in.calls
        problem = OSError(28, "No space left on device") if full_disk else None
        stack.enter_context(mock.patch.object(report, "write", side_effect=problem))
        with contextlib.redirect_stderr(notes):
            problem = train(programs, out, error, **options)
    return calls, problem, [line for line in notes.getvalue().splitlines() if "incomplete" in line]


def lose_a_worker(out):
    """(words on the last checkpoint, what ends MLflow's run) without and with the loss of another worker."""
    from kerasnets.training import loggers, resumption

    job = types.SimpleNamespace(
        callbacks=[],
        resume=False,
        files=[out],
        folder=out.parent,
        recipe=RECIPE,
        seed=0,
        weights=None,
        checkpoints=out.parent / "c",
    )
    stand_in = Calls()
    with installed("mlflow", stand_in), loggers.begin(job, ["mlflow"]):
        words = resumption.last_checkpoint(job), named(stand_in.calls, "set_terminated")
        return *words, resumption.on_loss(job), named(stand_in.calls, "set_terminated")


def statuses(folder):
    """{run: (status, figures)} of the real MLflow."""
    import mlflow

    place = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    with mock.patch.dict(os.environ, place):
        for case, error in ENDS.items():
            train(["mlflow"], folder / f"{case[:5]}.keras", error)
        client = mlflow.MlflowClient()
        runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
        return {run.info.run_name: (run.info.status, run.data.metrics) for run in runs}


def records_in(content):
    """The records of a log of LevelDB's form (its doc/log_format.md) after the 7 bytes of W&B's own header."""
    at, record = 7, b""
    while at + 7 <= len(content):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)  # after a checksum
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def exit_codes(folder):
    """{run: (exit code, names of its figures)} in the files of the real Weights & Biases, which is offline."""
    from wandb.proto.wandb_internal_pb2 import Record

    result = {}
    with mock.patch.dict(os.environ, {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}):
        for case, error in ENDS.items():
            train(["wandb"], folder / f"{case[:5]}.keras", error)
    for path in folder.glob("*/wandb/*run*/*.wandb"):
        names = set()
        for record in map(Record.FromString, records_in(path.read_bytes())):
            names |= {item.key or "/".join(item.nested_key) for item in record.history.item}
            if record.HasField("run"):
                title = record.run.display_name
            if record.HasField("exit"):
                result[title] = record.exit.exit_code
        result[title] = (result[title], names)
    return result


# ---- tests ----


@pytest.mark.parametrize("case", ENDS)
def test_the_programs_learn_how_a_run_ended(workers, case, tmp_path):
    calls, problem, notes = workers["torch"](train_with, tmp_path / "a.keras", ENDS[case])
    assert (problem is None) == (case == "whole")
    assert notes == []
    assert [values for name, values, _ in calls["mlflow"] if name == "end_run"] == [(STATUS[case],)]
    assert [options for name, _, options in calls["wandb"] if name == "finish"] == [{"exit_code": CODE[case]}]
    epochs = range(1, 3) if case == "whole" else range(1, 1 + len(named(calls["wandb"], "log")))
    steps = [*((epoch, EPOCH) for epoch in epochs), *([(2, TEST)] if case == "whole" else [])]
    for program, call in (("wandb", "log"), ("mlflow", "log_metrics")):
        found = [(options["step"], sorted(values[0])) for values, options in named(calls[program], call)]
        assert found == steps
    ((_, options),) = named(calls["wandb"], "init")
    assert options["config"]["backend"] == "torch"
    assert options["config"]["learning_rate"] == RECIPE.learning_rate


def test_a_run_whose_files_cannot_be_written_is_no_finished_one(workers, tmp_path):
    calls, problem, _ = workers["torch"](train_with, tmp_path / "a.keras", None, (), ("wandb", "mlflow"), True)
    assert problem[0] == "OSError"
    assert named(calls["mlflow"], "end_run") == [(("FAILED",), {})]
    assert named(calls["wandb"], "finish") == [((), {"exit_code": 4})]


@pytest.mark.parametrize(("program", "fails", "word"), [
    ("wandb", "init", "WANDB_MODE=offline"), ("mlflow", "set_experiment", "MLFLOW_TRACKING_URI"),
])  # fmt: skip
def test_a_program_that_begins_no_run_ends_the_training_in_one_line(workers, program, fails, word, tmp_path):
    _, problem, _ = workers["torch"](train_with, tmp_path / "a.keras", None, [fails], [program])
    assert problem[0] == "OSError"
    assert f"begins no run: no {fails} today; " in problem[1]
    assert word in problem[1]


def test_a_program_that_fails_later_costs_a_note_and_not_the_training(workers, tmp_path):
    fails = "log", "finish", "log_metrics", "end_run"
    _, problem, notes = workers["torch"](train_with, tmp_path / "a.keras", None, fails)
    assert problem is None
    assert notes == [
        "note: what Weights & Biases has of this run is incomplete: no log today",
        "note: what MLflow has of this run is incomplete: no log_metrics today",
    ]


@pytest.mark.parametrize("resume", [True, False])
def test_a_resumed_training_goes_on_with_its_runs(workers, resume, tmp_path):
    out = tmp_path / "a.keras"
    workers["torch"](train_with, out, KeyboardInterrupt())
    again = {"resume": True} if resume else {"overwrite": True}
    calls, problem, notes = workers["torch"](functools.partial(train_with, out, **again))
    assert (problem, notes) == (None, [])
    ((_, options),) = named(calls["wandb"], "init")
    assert (options.get("id"), options.get("resume")) == (("w1", "allow") if resume else (None, None))
    ((_, options),) = named(calls["mlflow"], "start_run")
    assert options["run_id"] == ("7" if resume else None)
    assert len(named(calls["mlflow"], "log_params")) == (0 if resume else 1)  # MLflow refuses other ones
    ((_, options),) = named(calls["mlflow"], "set_experiment")
    assert bool(options) == resume  # else kerasnets' own, by name
    steps = [options["step"] for _, options in named(calls["mlflow"], "log_metrics")]
    assert steps == ([2, 2] if resume else [1, 2, 2])


@pytest.mark.parametrize("case", ["unreadable", "deleted", "nested elsewhere"])
def test_a_run_that_cannot_be_resumed_costs_a_new_one(workers, case, tmp_path):
    out = tmp_path / "a.keras"
    workers["torch"](train_with, out, KeyboardInterrupt())
    if case == "unreadable":
        (tmp_path / "a/logged.json").write_text("{")
    more = {"deleted": {"fails": ["get_run"]}, "nested elsewhere": {"runs": ["theirs"]}}.get(case, {})
    calls, problem, _ = workers["torch"](functools.partial(train_with, out, resume=True, programs=["mlflow"], **more))
    assert problem is None
    assert named(calls["mlflow"], "start_run")[0][1]["run_id"] is None


def test_a_worker_that_does_not_lead_leaves_the_runs_alone(workers, tmp_path):
    assert workers["torch"](begun_by_two, tmp_path / "a.keras") == ({"mlflow": "7"}, [])


def begun_by_two(out):
    """({program: its run} that is kept after another worker has begun, that worker's loggers)."""
    from kerasnets.training import logged_runs, loggers

    job = types.SimpleNamespace(
        callbacks=[], resume=False, files=[out], folder=out.with_suffix(""), recipe=RECIPE, seed=0, weights=None
    )
    with (
        installed("mlflow", Calls()),
        loggers.begin(job, ["mlflow"]),
        loggers.begin(job, ["mlflow"], leads=False) as no,
    ):
        return logged_runs.read(job.folder), no


def test_a_persons_own_run_gets_the_figures_and_stays_open(workers, tmp_path):
    calls, problem, notes = workers["torch"](functools.partial(train_with, tmp_path / "a.keras", runs=["own"]))
    assert (problem, notes) == (None, [])
    assert {"init", "finish"}.isdisjoint(name for name, *_ in calls["wandb"])
    found = [(sorted(values[0]), values[0]["epoch"], options) for values, options in named(calls["wandb"], "log")]
    names = [sorted([*EPOCH, "epoch"])] * 2 + [sorted([*TEST, "epoch"])]
    assert found == list(zip(names, (1, 2, 2), ({},) * 3, strict=True))
    ((_, options),) = named(calls["mlflow"], "start_run")
    assert options["nested"]
    assert named(calls["mlflow"], "end_run") == [(("FINISHED",), {})]


def logged_beside_another_run(thread):
    """Return the calls to MLflow if another run is active, or with `thread`, if the run ends in another thread."""
    from kerasnets.training import loggers

    job = types.SimpleNamespace(callbacks=[], files=[Path("a.keras")], recipe=RECIPE, seed=0, weights=None)
    stand_in = Calls()
    with installed("mlflow", stand_in):
        logger = loggers.MLflow(job)
        if not thread:
            stand_in.runs.append("other")
        logger.log({"loss": 1.0}, 3)
        ending = threading.Thread(target=logger.end, args=(None,))
        if thread:
            ending.start()
            ending.join()
        else:
            logger.end(None)
    return [(name, values, options) for name, values, options in stand_in.calls if name in TOLD]


TOLD = "log_metrics", "end_run", "set_terminated"


@pytest.mark.parametrize("thread", [False, True])
def test_mlflow_is_told_of_the_trainings_own_run_alone(workers, thread):
    assert workers["torch"](logged_beside_another_run, thread) == [
        ("log_metrics", ({"loss": 1.0},), {"step": 3, "run_id": "7"}),
        ("set_terminated", ("7", "FINISHED"), {}),
    ]


def begun_in_a_thread():
    """Return the calls to MLflow of a training that runs in a thread, as in a notebook or a server."""
    from kerasnets.training import loggers

    job = types.SimpleNamespace(callbacks=[], files=[Path("a.keras")], recipe=RECIPE, seed=0, weights=None)
    calls = []

    def run():
        stand_in = Calls()
        with installed("mlflow", stand_in):
            loggers.MLflow(job).end(None)
        calls.extend(stand_in.calls)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return [name for name, *_ in calls if name in TOLD]


def test_a_run_that_began_in_a_thread_is_no_longer_active_there(workers):
    assert workers["torch"](begun_in_a_thread) == ["end_run"]


def test_a_package_that_is_missing_is_named_before_the_data_are_read(workers, tmp_path):
    kind, message = workers["torch"](missing, tmp_path / "a.keras")
    assert kind == "ImportError"
    assert message == "Weights & Biases needs a package: pip install wandb"


def missing(out):
    """The error of a training without wandb."""
    from kerasnets import data

    with (
        mock.patch.object(importlib.util, "find_spec", return_value=None),
        mock.patch.object(data, "load_data", side_effect=AssertionError("read")),
    ):
        return train(["wandb"], out)


def test_a_lost_worker_fails_the_run(workers, tmp_path):
    words = "; there is no checkpoint yet"
    assert workers["torch"](lose_a_worker, tmp_path / "a.keras") == (words, [], words, [(("7", "FAILED"), {})])


@pytest.mark.skipif(not importlib.util.find_spec("mlflow"), reason="mlflow is not installed")
def test_the_real_mlflow_holds_the_figures_and_how_each_run_ended(workers, tmp_path):
    result = workers["torch"](statuses, tmp_path)
    assert {name: status for name, (status, _) in result.items()} == {case[:5]: STATUS[case] for case in ENDS}
    assert {"accuracy", "val_loss", "test_accuracy"} <= result["whole"][1].keys()


@pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")
def test_the_real_weights_and_biases_holds_the_figures_and_the_exit_codes(workers, tmp_path):
    result = workers["torch"](exit_codes, tmp_path)
    assert {name: code for name, (code, _) in result.items()} == {case[:5]: CODE[case] for case in ENDS}
    assert {"accuracy", "val_loss", "test_accuracy"} <= result["whole"][1]
