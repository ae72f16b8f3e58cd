"""Names of classes fit into a plot and stay different."""

import pytest

from kerasnets.reports.names import label_and_answer, tell_apart

WINTER = "a spotted woodpecker on a branch in winter, seen from below"
SUMMER = "a spotted woodpecker on a branch in summer, seen from below"


@pytest.mark.parametrize(("names", "expected"), [
    (["cat", "dog"], ["cat", "dog"]),
    (["cat", "a striped tabby cat"], ["cat", "a striped tabby c…"]),
    ([WINTER, SUMMER, "cat"], ["…in winter, seen …", "…in summer, seen …", "cat"]),
    (["x" * 30 + "1", "x" * 30 + "2"], ["…xxx1", "…xxx2"]),
    (["x" * 30, "x" * 30 + "2"], ["…xxx", "…xxx2"]),
    (["a" * 30 + "1", "a" * 30 + "2", "b" * 30 + "1", "b" * 30 + "2"], ["…aaa1", "…aaa2", "…bbb1", "…bbb2"]),
    (["n" * 20 + "a", "n" * 20 + "b" * 30 + "1", "n" * 20 + "b" * 30 + "2"],
     ["…nnna", "1 …nnnbbbbbbbbbbb…", "2 …nnnbbbbbbbbbbb…"]),
])  # fmt: skip
def test_names_that_begin_alike_are_cut_where_they_differ(names, expected):
    short = tell_apart(names, 18)
    assert short == expected
    assert max(map(len, short)) <= 18
    assert len(set(short)) == len(names)


def test_the_lines_above_a_picture_differ():
    assert label_and_answer(WINTER, SUMMER) == ("…in winter, s…", "…in summer, s…")
    assert label_and_answer(WINTER, "cat") == ("a spotted woodpecker …", "cat")
