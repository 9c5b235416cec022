"""What the commands share: checked numbers, settings in layers, one-line errors.

`--help` must answer at once, so that options are declared in the command with the light
types of `denram.config`; each room's own record validates the merged settings again.
"""

import contextlib
import errno
import math
import os
import re
import sys
import tomllib
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import click
import msgspec

from denram import __version__
from denram.config import load_preset, load_toml, merge
from denram.errors import DenRAMError, DenRAMWarning, InputError

# sections of a preset or settings file; each command reads those it needs
SECTIONS = ("map", "errors", "data", "network", "noise", "fit")

_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})?", re.ASCII)
_INT = re.compile(r"[+-]?[0-9]{1,400}", re.ASCII)

F = TypeVar("F", bound=Callable[..., Any])


class Number(click.ParamType):
    """A number of one of `denram.config`'s types; NaN, infinities and text are refused.

    Args:
        kind: such as `Positive` or `Count`, or a field's type of a `Section`.
    """

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.is_int = _number_type(kind) is int
        self.name = "INT" if self.is_int else "FLOAT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """Text to a number within the type's range.

        Raises:
            InputError: one line with flag, rule and value.
        """
        del ctx
        flag = param.opts[0] if param is not None else "value"
        if not isinstance(value, str):
            return value
        text = value.strip()
        shown = repr(value) if len(value) <= 40 else repr(value[:37] + "...")
        if not (_INT if self.is_int else _FLOAT).fullmatch(text):
            wanted = "a whole number" if self.is_int else "a finite number"
            raise InputError(f"{flag} must be {wanted}, got {shown}")
        # the sum turns -0.0 into 0.0
        number = int(text) if self.is_int else float(text) + 0.0
        if isinstance(number, float) and not math.isfinite(number):
            raise InputError(f"{flag} must be a finite number, got {shown}")
        try:
            return msgspec.convert(number, type=self.kind)
        except msgspec.ValidationError as error:
            rule = re.sub(r"^Expected `\w+` ", "", str(error))
            raise InputError(f"{flag} must be {rule}, got {shown}") from None


def _number_type(kind: Any) -> type:
    """The `int` or `float` under annotations and `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return next(_number_type(k) for k in get_args(kind) if k is not type(None))
    return kind


def number(
    flag: str,
    kind: Any,
    text: str,
    *,
    default: Any = None,
    key: str | None = None,
    alias: str | None = None,
) -> Callable[[F], F]:
    """A numeric option that is None unless given.

    Args:
        flag: such as `--r_mu`.
        kind: type of the field it sets.
        text: one line of help, with the unit.
        default: what the help shows; the record's own default is what holds.
        key: name of the function's parameter, if it is not the flag's.
        alias: another spelling of the flag.
    """
    shown = text if default is None else f"{text}  [default: {default:g}]"
    names = _flags(flag, key, alias)
    return click.option(*names, type=Number(kind), default=None, help=shown)


def numbers(flag: str, text: str | None, kind: Any) -> tuple[Any, ...] | None:
    """Distinct numbers of one type, separated by commas; None for no text.

    Raises:
        InputError: a number that is none, or that is named twice.
    """
    if text is None:
        return None
    option = click.Option([flag])
    values = [Number(kind).convert(part, option, None) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise InputError(f"{flag} must not name a value twice, got {text!r}")
    return tuple(values)


def choice(
    flag: str,
    names: Sequence[str],
    text: str,
    *,
    default: Any = None,
    key: str | None = None,
    alias: str | None = None,
) -> Callable[[F], F]:
    """An option with a few allowed names that is None unless given.

    Arguments as for `number`.
    """
    shown = text if default is None else f"{text}  [default: {default}]"
    flags = _flags(flag, key, alias)
    return click.option(*flags, type=click.Choice(names), default=None, help=shown)


def _flags(flag: str, key: str | None, alias: str | None) -> tuple[str, ...]:
    """A flag, other spellings of it, and the parameter's name."""
    if alias is None:
        return (flag,) if key is None else (flag, key)
    return flag, alias, flag.removeprefix("--") if key is None else key


def version() -> Callable[[F], F]:
    """The `--version` option."""
    return click.version_option(__version__, message="%(prog)s %(version)s")


def settings(
    *,
    card: Mapping[str, Any],
    preset: str | None,
    config_file: str | None,
    flags: Mapping[str, Any],
    keys: Iterable[str] = ("model", "seed", "chip_seed"),
) -> dict[str, Any]:
    """Lay card, preset, settings file and flags over one another; the last one wins.

    Args:
        card: nested settings of a device card, or nothing.
        preset: name of a shipped preset.
        config_file: path of a TOML file.
        flags: nested settings from the command line; None means not given.
        keys: keys that may stand beside the sections.

    Raises:
        InputError: unknown preset, unreadable file, or a key no command knows.
    """
    layers = [dict(card), load_preset(preset) if preset else {}]
    if config_file is not None:
        layers.append(load_toml(Path(config_file)))
    for layer in layers[1:]:
        for name, value in layer.items():
            if name not in (*SECTIONS, *keys):
                raise InputError(f"unknown key {name!r}")
            if name in SECTIONS and not isinstance(value, Mapping):
                raise InputError(f"{name} must be a section, got {value!r}"[:200])
    return merge(*layers, given(flags))


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings without those that are None."""
    plain = {k: given(v) if isinstance(v, Mapping) else v for k, v in flags.items()}
    return {key: value for key, value in plain.items() if value is not None}


def pairs(texts: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as settings; a value that is no TOML value is taken as text.

    Raises:
        InputError: a pair is not of this form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.isidentifier() and equals):
            raise InputError(f"--set must be KEY=VALUE, got {text[:80]!r}")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            found[key] = value
    return found


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command and say what went wrong in one line.

    Args:
        command: a click command or group.
        arguments: None for those of the process.

    Returns:
        The exit code: 0; a `DenRAMError`'s own; 2 for a wrong command line; 130 when
        interrupted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", DenRAMWarning)
        warnings.showwarning = _show_warning(warnings.showwarning)
        try:
            code = command.main(
                None if arguments is None else list(arguments), standalone_mode=False
            )
        except (Exception, KeyboardInterrupt) as error:
            told = _told(error)
            if told is None:
                raise
            message, code = told
            if message:
                _say(f"Error: {message}")
            return code
    return code if isinstance(code, int) else 0


def _close_stdout() -> None:
    """Let the interpreter's last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: BaseException) -> tuple[str, int] | None:
    """One line and the exit code for an error that has a name; None for a defect."""
    told: tuple[str, int] | None = None
    match error:
        case DenRAMError():
            told = str(error), error.exit_code
        case click.ClickException():
            told = error.format_message(), error.exit_code
        case click.Abort() | KeyboardInterrupt():
            told = "interrupted", 130
        case MemoryError():
            told = "out of memory", 1
        case RuntimeError() if "RESOURCE_EXHAUSTED" in str(error):  # JAX's word for it
            told = f"out of memory: {str(error).splitlines()[0][:200]}", 1
        case BrokenPipeError():  # the reader, such as `head`, has seen enough
            _close_stdout()
            told = "", 141
        case OSError() if error.errno in (errno.ENOSPC, errno.EIO):
            _close_stdout()
            told = f"cannot write: {error.strerror}", 1
    return told


def _say(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr)


def _show_warning(original: Callable[..., None]) -> Callable[..., None]:
    def show(message: Any, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, DenRAMWarning):
            _say(f"Warning: {message}")
        else:
            original(message, category, *rest)

    return show
