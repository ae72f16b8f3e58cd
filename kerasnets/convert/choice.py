"""The tensors of a checkpoint that are a network's, and which of them belong to which of its layers."""

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasnets.convert.axes import shapes
from kerasnets.convert.checkpoints import Table, is_weight, tables
from kerasnets.convert.matching import (
    Groups,
    Matches,
    by_name,
    by_order,
    by_shape,
    check_all_used,
    groups_of,
    main_shape,
    namings,
)
from kerasnets.convert.pickle_parts import Refusal
from kerasnets.errors import BadInputError, shorten
from kerasnets.graph import weighted_layers

MOST_PREFIXES = 50  # that are tried in one table
Fit = tuple[Table, Groups, Matches]


def choose(content: Any, network: keras.Model, in_order: bool) -> tuple[Groups, Matches]:
    """Return the groups of tensors that fit a network, and the match of each of its layers.

    A checkpoint may hold several copies of the weights. The trained weights are preferred to averaged copies; a warning
    says what was taken.

    Args:
        content: A state_dict, or a checkpoint with one somewhere in it.
        network: The network.
        in_order: Match tensors and layers in their order.

    Raises:
        BadInputError: Nothing fits, or different weights fit equally well.
    """
    try:
        found = tables(content)
    except Refusal as error:
        raise BadInputError(f"the file is damaged ({error})", remedy="copy or download it again") from error
    fits = [] if in_order else list(complete(candidates_by_name(found, network), network, in_order))
    fits = fits or list(complete((table.unwrapped() for table in found), network, in_order))
    fits = fits or list(complete(parts_of(found), network, in_order))
    if not fits:
        raise misfit_of(found, network, in_order)
    return pick(fits, found)


def complete(tables: Iterator[Table], network: keras.Model, in_order: bool) -> Iterator[Fit]:
    """Yield the tables that fit every layer, with their groups and matches."""
    for table in tables:
        try:
            groups, matched = match(table, network, in_order)
        except BadInputError:
            continue
        yield table, groups, matched


def match(table: Table, network: keras.Model, in_order: bool) -> tuple[Groups, Matches]:
    groups, layers = groups_of(table.tensors, network), weighted_layers(network)
    matched = by_order(layers, groups) if in_order else by_name(network, groups) or by_shape(layers, groups)
    check_all_used(layers, groups, matched)
    return groups, matched


def candidates_by_name(found: list[Table], network: keras.Model) -> Iterator[Table]:
    """Yield the parts of tables in which the path of the network's first layer has one prefix, without the prefix."""
    firsts = [next(iter(paths.values())) for paths in namings(network)]
    for table in found:
        paths = dict.fromkeys(name.rpartition(".")[0] for name in table.tensors)
        heads = dict.fromkeys(
            path.removesuffix(first) for first in firsts for path in paths if f".{path}".endswith(f".{first}")
        )
        for prefix in list(heads)[:MOST_PREFIXES]:
            yield table.under(prefix) if prefix else table


def parts_of(found: list[Table]) -> Iterator[Table]:
    """Yield the parts of tables by the first components of their names."""
    for table in found:
        for head in list(dict.fromkeys(name.partition(".")[0] for name in table.tensors))[:MOST_PREFIXES]:
            yield table.under(f"{head}.").unwrapped()


def pick(fits: list[Fit], found: list[Table]) -> tuple[Groups, Matches]:
    """Return the trained weights among those that fit, and warn if there was a choice."""
    own = [fit for fit in fits if not fit[0].is_copy] or fits
    others = [fit for fit in fits if not same(fit[1], own[0][1])]
    rivals = [fit[0].place or "its top" for fit in own if fit in others]
    table, groups, matched = own[0]
    if rivals:
        places = shorten(" and ".join([table.place or "its top", *rivals]), 80)
        raise BadInputError(
            f"it holds different weights of the network, in {places}", remedy="pass one of them as a state_dict"
        )
    notes = []
    if others:
        notes.append(f"not its copy in {others[0][0].place or 'its top'}")
    if table.is_copy:
        notes.append("which are an averaged copy of the trained ones")
    weights = [name for name in table.rest if is_weight(next(t.tensors[name] for t in found if name in t.tensors))]
    if weights:
        notes.append(f"and left {len(weights)} other tensors, as {shorten(weights[0], 40)}")
    if notes:
        warnings.warn(f"took the weights in {table.place or 'its top'}, {', '.join(notes)}", stacklevel=4)
    return groups, matched


def same(groups: Groups, others: Groups) -> bool:
    """Whether two groups hold the same numbers."""
    if groups.keys() != others.keys() or any(groups[path].keys() != others[path].keys() for path in groups):
        return False
    pairs = ((groups[path][part], others[path][part]) for path in groups for part in groups[path])
    return all(ours is theirs or np.array_equal(numbers(ours), numbers(theirs)) for ours, theirs in pairs)


def numbers(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().cpu().float() if hasattr(tensor, "detach") else tensor)


def misfit_of(found: list[Table], network: keras.Model, in_order: bool) -> BadInputError:
    """Return the reason why the most similar table does not fit."""
    wanted = [main_shape(shapes(layer)) for layer in weighted_layers(network)]

    def similarity(table: Table) -> tuple[int, bool]:
        present = {tuple(tensor.shape) for tensor in table.tensors.values() if is_weight(tensor)}
        return sum(shape in present for shape in wanted), not table.is_copy

    try:
        match(max(found, key=similarity).unwrapped(), network, in_order)
    except BadInputError as error:
        return error
    raise AssertionError("a table fits after all")
