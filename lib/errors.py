"""The one exception for what a user can fix, and the sentence for a name that is not known."""

import difflib


class InputError(Exception):
    """Bad input or a missing step; its message says what, where and how to fix it."""


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The sentence for a name that is not known, with the likeliest one that was meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
    return f"The {kind} {name!r} is not known: {hint}"
