"""Results as CSV."""

from kerasnets.errors import BadInputError
from kerasnets.prediction import rows


def test_a_refusal_has_as_many_cells_as_the_header_has_names():
    for top in (1, 3):
        for many in (False, True):
            [row] = rows.rows("a.png", BadInputError("is no picture"), top, many=many)
            assert len(row) == len(rows.header(top, many=many))


def test_a_name_does_nothing_to_a_terminal_and_stays_one_cell():
    assert rows.as_csv([["a\x1b[2J\n.png", 'b"c,d', 0.5]]) == 'a\\x1b[2J\\n.png,"b""c,d",0.5\n'
