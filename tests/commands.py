"""Call a command in this process, as a shell would."""

import contextlib
import io

from denram.cli._options import run


def call(command, *arguments):
    """Exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(command, arguments)
    return code, out.getvalue(), err.getvalue()


def refused(command, *arguments):
    """The one line of a command that must refuse its arguments with exit code 2."""
    code, _, err = call(command, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("Error: ")
    return err
