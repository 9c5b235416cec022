"""The errors a user can cause. Each is one line and carries the exit code."""


class DenRAMError(Exception):
    """Base of every error that the command line prints as one line."""

    exit_code = 1


class InputError(DenRAMError, ValueError):
    """A parameter, file or name breaks a rule; the message names all three."""

    exit_code = 2


class StorageError(DenRAMError, OSError):
    """The disk refused: full, read-only, or a store that cannot be read."""

    exit_code = 1


class BusyError(DenRAMError):
    """Another process works in this folder; try again later."""

    exit_code = 75


class DivergedError(DenRAMError, ArithmeticError):
    """Training met a non-finite loss; the last good checkpoint is kept."""

    exit_code = 4


class DenRAMWarning(UserWarning):
    """Something is legal but probably not what the user wants."""
