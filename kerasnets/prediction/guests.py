"""What is known about a model file, from its card and from whoever gives another program's file."""

import dataclasses

from kerasnets.saving import UNKNOWN, Card, Guest
from kerasnets.saving.guest import check_own


def card_with(guest: Guest, card: Card) -> Card:
    """Return the card of a file, with what `guest` tells about another program's."""
    if card.class_names:
        return dataclasses.replace(card, input_kind=guest.input_kind or card.input_kind)
    return dataclasses.replace(
        card, class_names=guest.class_names, input_kind=guest.input_kind or card.input_kind,
        multi_label=guest.multi_label,
    )  # fmt: skip


def own_guest(card: Card, engine: str) -> Guest:
    """Return what an engine has to know about a file of ours; Keras reads the card itself."""
    if engine == "keras":
        return UNKNOWN
    shape = card.input_shape
    size = (shape[0], shape[1]) if len(shape) == 3 else None  # an adopted export may take such pictures as rows
    return Guest("", (), card.scaling, card.bgr, card.multi_label, size)


def facts_about(card: Card, guest: Guest) -> Guest | None:
    """Return `guest` for another program's file, and None for our own, which tell all themselves."""
    if not card.class_names:
        return guest
    check_own(guest)
    return None
