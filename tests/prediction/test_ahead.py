"""Lists that are made by threads, one ahead of the one that is used."""

import threading
import time

import pytest

from kerasnets.prediction import ahead


def test_lists_are_in_order_and_complete():
    for count in (0, 1, 4, 5, 7, 8, 9, 30):
        assert list(ahead.batches_ahead(str, range(count), 8)) == [
            [str(i) for i in range(start, min(start + 8, count))] for start in range(0, max(count, 1), 8)
        ]


def slow(number):
    time.sleep(2 * ahead.LONG)
    return number, threading.current_thread().name


def test_what_takes_long_is_made_by_threads_in_the_same_order():
    made = [each for batch in ahead.batches_ahead(slow, range(21), 8) for each in batch]
    assert [number for number, _ in made] == list(range(21))
    assert {name.split("_")[0] for _, name in made[ahead.FEW :]} == {"prepare"}


def test_an_early_end_makes_nothing_more():
    seen = []

    def note(number):
        seen.append(number)
        return slow(number)

    batches = ahead.batches_ahead(note, range(1000), 8)
    next(batches)
    batches.close()
    time.sleep(0.1)
    count = len(seen)
    assert count < 40
    time.sleep(0.1)
    assert len(seen) == count


def test_an_error_comes_where_it_was_made():
    def fail(number):
        if number == 12:
            raise MemoryError(number)
        return slow(number)

    batches = ahead.batches_ahead(fail, range(30), 8)
    assert [number for number, _ in next(batches)] == list(range(8))
    with pytest.raises(MemoryError):
        next(batches)
