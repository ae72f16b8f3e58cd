"""OpenVINO's .xml, read without building a tree of it: its size, its elements and its depth are limited."""

from pathlib import Path
from xml.parsers import expat

from kerasnets.errors import BadInputError

LARGEST = 2**25  # bytes; DenseNet-201 has some 2 MB
MOST_ELEMENTS, MOST_ATTRIBUTES, DEEPEST = 300_000, 1_000_000, 64  # DenseNet-201: some 20,000 and 50,000, 7 deep
CHUNK = 2**16
AGAIN = "export or copy it again"


def read_info(path: Path, names: tuple[str, str]) -> dict[str, str]:
    """Return {name: value} of the elements `names` of a network's rt_info.

    Raises:
        BadInputError: The file is damaged, no network, or larger than any network for pictures.
    """
    size = path.stat().st_size
    content = path.read_bytes() if size <= LARGEST else b""
    if size > LARGEST or content.count(b"<") > 2 * MOST_ELEMENTS or content.count(b"=") > MOST_ATTRIBUTES:
        raise too_many(path)
    info: dict[str, str] = {}
    within: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        within.append(name)
        if within[0] != "net":
            raise BadInputError("is not an OpenVINO model", path=path, remedy=AGAIN)
        if len(within) > DEEPEST:
            raise too_many(path)
        if within[1:-1] == ["rt_info"] and name in names:
            info[name] = attributes.get("value", "")

    def doctype(*_: object) -> None:
        raise BadInputError("declares types or entities, as no OpenVINO model does", path=path, remedy=AGAIN)

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = start, lambda name: within.pop()
    parser.StartDoctypeDeclHandler = doctype
    for place in range(0, size, CHUNK):
        parser.Parse(content[place : place + CHUNK], False)
    parser.Parse(b"", True)
    return info


def too_many(path: Path) -> BadInputError:
    problem = "is larger, deeper or of more parts than any network for pictures"
    return BadInputError(problem, path=path, remedy="export it again")
