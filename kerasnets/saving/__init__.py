"""Model files: their cards, how they are written, and how they are checked before they are read."""

from kerasnets.saving.card import Card, check_card
from kerasnets.saving.guest import NUMBERED, UNKNOWN, Guest, note_on
from kerasnets.saving.keras_file import SUFFIXES, check_size, check_suffix, load, load_card, load_with_scale, save

__all__ = [
    "NUMBERED", "SUFFIXES", "UNKNOWN", "Card", "Guest", "check_card", "check_size", "check_suffix", "load", "load_card",
    "load_with_scale", "note_on", "save",
]  # fmt: skip
