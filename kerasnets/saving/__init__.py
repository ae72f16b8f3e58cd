"""Model files: their cards, how they are written, and how they are checked before they are read."""

from kerasnets.saving.card import Card, check_card
from kerasnets.saving.guest import UNKNOWN, Guest
from kerasnets.saving.keras_file import SUFFIXES, check_suffix, load, load_card, load_with_note, open_size, save

__all__ = [
    "SUFFIXES", "UNKNOWN", "Card", "Guest", "check_card", "check_suffix", "load", "load_card", "load_with_note",
    "open_size", "save",
]  # fmt: skip
