"""The networks: one family per file, which knows Keras and nothing else; the registry names them all.

The registry loads no framework. MODELS and `build` load Keras when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerasnets.models.registry import FORMS, NETWORKS, Form, check_name, forms, list_models

if TYPE_CHECKING:
    from kerasnets.models.builders import MODELS, build
    from kerasnets.models.options import is_count, options_of, smallest

# name that needs Keras -> its module
_HOMES = {
    "MODELS": "builders",
    "build": "builders",
    "is_count": "options",
    "options_of": "options",
    "smallest": "options",
}
__all__ = [
    "FORMS", "MODELS", "NETWORKS", "Form", "build", "check_name", "forms", "is_count", "list_models",
    "options_of", "smallest",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
