"""The stack level of warnings."""

import sys

# Packages whose frames are not the user's. In a search, frames of several of them are on the stack; of NumPy, those
# of functions under `errstate`.
NOT_THE_USER = (__name__.partition(".")[0], "sklearn", "joblib", "contextlib", "numpy")


def user_stacklevel() -> int:
    """The stack level of the user's line, for a warning given by the function that calls this one."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in NOT_THE_USER:
        frame, level = frame.f_back, level + 1
    return level
