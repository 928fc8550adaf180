"""A signature is a name and a reason (design §7): words that say something, and say it alone.

What is signed is shown in terminals for as long as the record stands, and nothing in the record can be taken back: so a
line break that would begin a line of its own, a sequence that moves the cursor and a sign that turns the direction of
writing are refused before they are in it.
"""

import unicodedata

_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def lacking(by: str, why: str) -> str | None:
    """What a signature lacks, for people; None where it lacks nothing."""
    for what, text in (("a name", by), ("a reason", why)):
        if not any(sign.isalnum() for sign in text):  # blanks that do not look like blanks are no reason either
            return what
        if any(map(_moves, text)):
            return f"{what} in one line of plain text"
    return None


def _moves(sign: str) -> bool:
    return unicodedata.category(sign) in {"Cc", "Zl", "Zp"} or unicodedata.bidirectional(sign) in _TURNS
