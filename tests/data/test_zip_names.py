"""Names in zips that do not say how they are encoded."""

import pytest

from kerasnets import data
from tests.stand_ins import encoded
from tests.zips import stored, write_zip


def write(path, names, encoding):
    """Write a zip with a folder of two pictures for each name, as Windows or macOS do."""
    import numpy as np

    pixels = encoded(np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8))
    entries = []
    for name in names:
        for i in range(2):
            _, *facts = stored("", pixels)
            entries.append((f"{name}/{i}.png".encode(encoding), *facts))
    write_zip(path, entries)
    return path


@pytest.mark.parametrize(("names", "encoding"), [
    (("猫", "狗"), "utf-8"),
    (("été", "hiver"), "utf-8"),
    (("été", "hiver"), "cp437"),
    (("苹果", "香蕉", "橙子", "葡萄"), "gbk"),
    (("りんご", "バナナ"), "shift-jis"),
    (("表", "ソース"), "shift-jis"),  # whose second bytes are backslashes
])  # fmt: skip
def test_names_in_an_encoding_that_is_certain_are_read(tmp_path, capsys, names, encoding):
    result = data.load_data(write(tmp_path / "a.zip", names, encoding))
    assert result.class_names == tuple(sorted(names))
    assert capsys.readouterr().err == ""


def test_names_that_may_be_of_several_languages_are_mentioned(tmp_path, capsys):
    """The bytes of the Chinese names for cat and horse are usual Korean syllables too."""
    result = data.load_data(write(tmp_path / "a.zip", ("猫", "马"), "gbk"))
    assert len(result.class_names) == 2
    [note] = capsys.readouterr().err.splitlines()
    assert note.startswith("note: names in a.zip are in an unknown encoding and are read as ")
    assert "unpack it by unzip -O gbk" in note
