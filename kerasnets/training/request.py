"""Request: what a person asks of a training, or of a search for its learning rate. No framework is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from kerasnets import saving
from kerasnets.recipes import FINETUNED, Recipe, with_changes

if TYPE_CHECKING:
    import keras

Network = Union["keras.Model", Callable[..., "keras.Model"]]  # one's own, or a function that builds it


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `train`, which documents them, unchecked."""

    recipe: str | Recipe | Network
    network: Network | None = None
    fallback: str | None = None
    arrays: Any = None
    epochs: int | None = None
    batch_size: int | None = None
    seed: int = 0
    out: str | Path | Sequence[str | Path] | None = None
    data_dir: str | Path | None = None
    image_size: tuple[int, ...] | None = None
    weights: str | Path | None = None
    guest: saving.Guest = saving.UNKNOWN
    freeze: Sequence[str] = ()
    keep_head: bool = False
    resume: bool = False
    overwrite: bool = False
    tensorboard: bool = False
    log: Sequence[str] = ()
    callbacks: Sequence[Any] = ()
    stream: bool | None = None
    skip_broken: int = 0
    synsets: str | Path | None = None
    checkpoint_minutes: float | None = None
    worker_statistics: bool = False
    full_report: bool = False

    @property
    def loggers(self) -> tuple[str, ...]:
        """The programs that get the figures."""
        return tuple(dict.fromkeys((*("tensorboard",) * self.tensorboard, *self.log)))

    @property
    def files(self) -> Sequence[str | Path]:
        """The model files to write, as named; () if none is."""
        return [self.out] if isinstance(self.out, (str, Path)) else self.out or ()

    @property
    def named_files(self) -> list[Path]:
        """The model files to write; without a name, the one in models_saved with the name of the recipe."""
        recipe = self.recipe
        if isinstance(recipe, Recipe):
            recipe = with_changes(recipe, variant=FINETUNED if self.weights else None).name
        return [Path(file) for file in self.files or (f"models_saved/{recipe}.keras",)]
