"""The networks: one family per file, which knows Keras and nothing else; MODELS names them all."""

from kerasnets.runtime.chosen import BACKEND as BACKEND

from kerasnets.models.registry import (
    MODELS,
    SMALLEST,
    SMALLEST_WITH,
    build,
    check_name,
    is_count,
    list_models,
    options_of,
    smallest,
)  # fmt: skip

__all__ = [
    "MODELS",
    "SMALLEST",
    "SMALLEST_WITH",
    "build",
    "check_name",
    "is_count",
    "list_models",
    "options_of",
    "smallest",
]
