"""The one exception for what a user can mend."""


class InputError(Exception):
    """Bad input or a missing step; its message says what, where and how to mend it."""
