"""TOML and flags to frozen, validated records; and a record to its fingerprint.

A configuration is a `msgspec.Struct` beside the code that uses it. It becomes an
instance only through `convert`, which names the parameter, the rule and the value.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import msgspec
import tomli_w
from msgspec import Meta

from denram.errors import InputError

MAX_CONFIG_BYTES = 1_000_000
# the largest magnitude accepted for a real number; above it squares overflow
LARGEST = 1e150

Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]

S = TypeVar("S", bound=msgspec.Struct)


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every configuration record: frozen, and strict about its keys."""


def convert(cls: type[S], values: Mapping[str, Any], *, where: str = "") -> S:
    """Validate a mapping into a configuration record.

    Args:
        cls: the record's class.
        values: key to value, as TOML or the command line gives them.
        where: a prefix for messages, such as a file name.

    Raises:
        InputError: one line with parameter, rule and value.
    """
    for key, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{where}{key} must be a finite number, got {value}")
    try:
        return msgspec.convert(dict(values), type=cls)
    except msgspec.ValidationError as error:
        raise InputError(where + _one_line(str(error), values)) from None


def _one_line(message: str, values: Mapping[str, Any]) -> str:
    """Rewrite msgspec's message as: name, rule, value."""
    rule, _, path = message.partition(" - at `")
    name = path.rstrip("`").removeprefix("$.") or "configuration"
    unknown = re.search(r"unknown field `(.*)`", rule)
    if unknown:
        return f"unknown key {unknown.group(1)!r}"
    value: Any = values
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", name):
        if index and isinstance(value, Sequence):
            value = value[int(index)]
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    rule = rule.replace("Expected ", "must be ", 1).replace("`", "")
    rule = re.sub(r"^Invalid enum value .*$", "must be one of the allowed names", rule)
    return f"{name} {rule.split(', got ')[0]}, got {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 1 MB.

    Raises:
        InputError: missing, unreadable, too large or malformed.
    """
    try:
        if path.exists() and not path.is_file():  # a device may never end
            raise InputError(f"{path} must be a regular file")
        size = path.stat().st_size
        if size > MAX_CONFIG_BYTES:
            raise InputError(
                f"{path} must be at most {MAX_CONFIG_BYTES} bytes, got {size}"
            )
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} must be UTF-8 text, got other bytes") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = str(error) or "nested too deeply"
        raise InputError(f"{path} must be valid TOML, got: {reason}") from None


def preset_names() -> list[str]:
    """Names of the presets that ship with the package."""
    folder = resources.files("denram") / "presets"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_preset(name: str) -> dict[str, Any]:
    """Read a shipped preset.

    Raises:
        InputError: no preset has this name.
    """
    known = preset_names()
    if name not in known:
        raise InputError(f"preset must be one of {', '.join(known)}, got {name!r}")
    text = (resources.files("denram") / "presets" / f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def load_profile(model: str, dataset: str) -> dict[str, Any]:
    """A family's own defaults for a data set; nothing where it has none."""
    path = resources.files("denram") / "profiles" / f"{model}-{dataset}.toml"
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested mappings over one another; the last one wins, key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                merged[key] = merge(old, value)
            else:
                merged[key] = value
    return merged


def field_types(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """Each field's annotated type, in the order of definition."""
    hints = get_type_hints(cls, include_extras=True)
    return {field: hints[field] for field in cls.__struct_fields__}


def as_dict(config: msgspec.Struct) -> dict[str, Any]:
    """A record as plain nested dictionaries, ready for TOML or JSON."""
    return msgspec.to_builtins(config)


def as_toml(config: msgspec.Struct) -> str:
    """A record as TOML text; keys whose value is None are left out."""
    return tomli_w.dumps(_without_none(as_dict(config)))


def _without_none(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {k: _without_none(v) for k, v in value.items() if v is not None}


def fingerprint(config: msgspec.Struct | Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a record's canonical JSON: equal settings, equal print."""
    plain = as_dict(config) if isinstance(config, msgspec.Struct) else config
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()
