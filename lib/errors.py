"""The one exception for what a user can fix."""


class InputError(Exception):
    """Bad input or a missing step; its message says what, where and how to fix it."""
