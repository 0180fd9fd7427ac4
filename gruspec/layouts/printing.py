"""Names of what is in files, for messages and reports."""

from __future__ import annotations


def printable(name: object) -> str:
    r"""Return text in which what would not be seen, or would be obeyed by a terminal, is written out.

    >>> printable("encoder/rnn"), printable("a\x1b[31mb\n"), printable("\udcff.npz")
    ('encoder/rnn', 'a\\x1b[31mb\\n', '\\udcff.npz')
    """
    text = str(name)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
