"""Lines of Python of at most 88 characters, as ruff format breaks them."""

WIDTH = 88


def fit(text: str, indent: int) -> list[str]:
    """Return a statement as lines: the arguments of its last call on lines of their own, if it is too long."""
    line = " " * indent + text
    if len(line) <= WIDTH or not text.rstrip(",:").endswith(")"):
        return [line]
    comma = text[-1] if text[-1] in ",:" else ""
    head, arguments = split(text.rstrip(",:"))
    joined = " " * (indent + 4) + ", ".join(arguments)
    if len(joined) <= WIDTH:
        return [" " * indent + head + "(", joined, " " * indent + ")" + comma]
    inner = [part for argument in arguments for part in fit(argument + ",", indent + 4)]
    return [" " * indent + head + "(", *inner, " " * indent + ")" + comma]


def split(text: str) -> tuple[str, list[str]]:
    """Return ("x = f", ["a", "b"]) of "x = f(a, b)"."""
    depth = 0
    for start in range(len(text) - 1, -1, -1):
        depth += (text[start] == ")") - (text[start] == "(")
        if depth == 0:
            break
    arguments, depth, word = [], 0, ""
    for character in text[start + 1 : -1]:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            arguments.append(word.strip())
            word = ""
        else:
            word += character
    if word.strip():
        arguments.append(word.strip())
    return text[:start], arguments
