"""What went wrong in a training, or may mislead, in words: for the report, and as notes at the end of the run."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kerasnets.data.dataset import ROWS
from kerasnets.reports.measures import standard_error

if TYPE_CHECKING:
    from kerasnets.training.evaluation import Evaluation
    from kerasnets.training.jobs import TrainingJob
    from kerasnets.training.run import Run

FEW = 100  # pictures of a part: one of them is a point of accuracy or more
ERRORS = 4  # standard errors beyond which a change of accuracy is no accident
DROP = 0.03  # of accuracy from one epoch to the next: a collapse
RISE, NATS = 1.5, 0.1  # times the least validation loss, and above it: learning by heart
GAP = 0.1  # of accuracy between training and validation, if it is beyond ERRORS too
LARGE, MOST_FOR_ONE = 1_000_000, 10_000  # parameters of a large network; for each picture
MOST_NAMED = 5  # classes
FALLEN = 0.95  # of the first loss; above it, the network learns nothing, and more epochs do not help
FALLING = 0.5  # of the mean fall of an epoch


def size_note(parameters: int, pictures: int, *, is_fresh: bool) -> str:
    """Return a sentence on a network that is far too large for its training pictures, without its subject; or ""."""
    if not is_fresh or parameters < LARGE or parameters < MOST_FOR_ONE * pictures:
        return ""
    return (
        f"has {parameters:,} parameters for {pictures:,} pictures and will learn them by heart; try a small network, "
        "such as resnet20, or --pretrained"
    )


def notes_on(run: "Run", test: "Evaluation", validated: int, job: "TrainingJob | None" = None) -> list[str]:
    """Return the remarks on a run, `validated` by so many pictures; that it learned nothing says it all."""
    if test.accuracy > test.majority:
        return remarks(run, test, validated, job)
    advice = "train for more --epochs" if still_falls(run.loss) else "try a smaller --learning-rate or more --epochs"
    return [
        f"the model is no better than always naming the most frequent class ({run.majority:.4f} of the test "
        f"data); {advice}"
    ]


def remarks(run: "Run", evaluation: "Evaluation", validated: int, job: "TrainingJob | None" = None) -> list[str]:
    """Return a sentence for each thing to know; none for a run without them.

    Args:
        run: The result of the training.
        evaluation: That of the test.
        validated: The number of validation pictures.
        job: The training: no advice is what its recipe does already. None gives the advice that fits any.
    """
    return [
        *collapses(run.val_accuracy or run.accuracy, validated, run.best_epoch, bool(run.val_accuracy)),
        *overfitting(run, validated, job),
        *few("validation", validated if run.val_accuracy else 0),
        *too_short(run, evaluation),
        *of_test(evaluation),
    ]


def still_falls(losses: Sequence[float]) -> bool:
    """Whether a training loss has fallen clearly, and fell in the last epoch too, by half of its mean fall at least."""
    if len(losses) < 2 or losses[-1] > FALLEN * losses[0]:
        return False
    mean_fall = (losses[0] - losses[-1]) / (len(losses) - 1)
    return losses[-1] <= min(losses[:-1]) - FALLING * mean_fall


def too_short(run: "Run", evaluation: "Evaluation") -> Iterator[str]:
    """Yield a sentence on a training that has hardly begun to learn."""
    if not evaluation.beats_majority and still_falls(run.loss):
        yield "The training loss still fell in the last epoch: more --epochs help."


def of_test(evaluation: "Evaluation") -> list[str]:
    """Return the sentences on a test."""
    return [*near_majority(evaluation), *never_predicted(evaluation), *few("test", len(evaluation.labels))]


def near_majority(evaluation: "Evaluation") -> Iterator[str]:
    """Yield a sentence on an accuracy that is above that of the most frequent class, but perhaps by chance."""
    if evaluation.accuracy > evaluation.majority and not evaluation.beats_majority:
        yield (
            f"the accuracy of {evaluation.accuracy:.4f} may be no better than always naming the most frequent class "
            f"({evaluation.majority:.4f}): of {len(evaluation.labels):,} test examples, the difference may be chance."
        )


def collapses(accuracies: Sequence[float], count: int, best_epoch: int, is_validation: bool) -> Iterator[str]:
    """Yield a sentence on the largest fall of the accuracy from one epoch to the next."""
    falls = [(before - after, epoch) for epoch, (before, after) in enumerate(itertools.pairwise(accuracies), start=2)]
    fall, epoch = max(falls, default=(0.0, 0))
    if not epoch or fall <= max(DROP, ERRORS * standard_error(accuracies[epoch - 2], count)):
        return
    part = "validation" if is_validation else "training"
    text = f"{part} accuracy fell from {accuracies[epoch - 2]:.4f} to {accuracies[epoch - 1]:.4f} in epoch {epoch}"
    if max(accuracies[epoch - 1 :]) >= accuracies[epoch - 2]:
        text += " and rose again later"
    yield f"{text}; the weights are those of epoch {best_epoch}. A smaller learning rate makes a training steadier."


def against_overfitting(job: "TrainingJob | None") -> str:
    """Return a sentence on what helps against overfitting, beyond what the recipe of a training does already."""
    if job is None:
        return "More pictures help."
    recipe, is_row = job.recipe, job.data.input_kind == ROWS
    changes = any((recipe.augmentation, recipe.trivial_augment, recipe.mixup, recipe.cutmix, recipe.random_erasing))
    ways = {
        f"more {'examples' if is_row else 'pictures'}": True,
        "--augment": not (changes or is_row),
        "--weight-decay": (changes or is_row) and not recipe.weight_decay,
        "fewer epochs (--patience)": not recipe.patience,
        "a smaller network": bool(recipe.weight_decay and recipe.patience),
    }
    *others, last = [way for way, is_new in ways.items() if is_new]
    text = f"{', '.join(others)}{',' * (len(others) > 1)} or {last}" if others else last
    return f"{text[0].upper()}{text[1:]} help."


def overfitting(run: "Run", count: int, job: "TrainingJob | None" = None) -> Iterator[str]:
    """Yield a sentence on a validation loss that rises while the training loss falls, or a gap between accuracies.

    The standard error of the gap is that of the mean of both accuracies on the `count` validation pictures.
    """
    advice = against_overfitting(job)
    if not run.val_loss:
        return
    low = min(range(len(run.val_loss)), key=lambda epoch: run.val_loss[epoch])
    last, least = run.val_loss[-1], run.val_loss[low]
    if low + 2 < len(run.val_loss) and last > max(RISE * least, least + NATS) and run.loss[-1] < run.loss[low]:
        yield (
            f"from epoch {low + 1} on, the validation loss rose from {least:.4f} to {last:.4f} while the training loss "
            f"fell: the network learns the training pictures by heart (overfitting). {advice}"
        )
        return
    best = run.best_epoch - 1
    gap, mean = run.accuracy[best] - run.val_accuracy[best], (run.accuracy[best] + run.val_accuracy[best]) / 2
    if gap > max(GAP, ERRORS * standard_error(mean, count)):
        yield (
            f"accuracy is {run.accuracy[best]:.4f} on the training pictures and {run.val_accuracy[best]:.4f} on "
            f"validation (overfitting). {advice}"
        )


def never_predicted(evaluation: "Evaluation") -> Iterator[str]:
    """Yield a sentence on classes of the test that are never the answer."""
    answers = set(evaluation.predictions.tolist())
    missing = [evaluation.class_names[label] for label in sorted(set(evaluation.labels.tolist()) - answers)]
    if missing:
        names = ", ".join(missing[:MOST_NAMED]) + (
            f" and {len(missing) - MOST_NAMED} more" if missing[MOST_NAMED:] else ""
        )
        things = "this class is" if len(missing) == 1 else f"{len(missing)} classes are"
        yield f"{things} never the answer in the test: {names}."


def few(part: str, count: int) -> Iterator[str]:
    """Yield a sentence on a part with few pictures."""
    if 0 < count < FEW:
        yield f"{count} examples are few for the {part}: each of them is {100 / count:.1f} points of accuracy."
