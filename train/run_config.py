"""The whole configuration of a training run, from presets, a TOML file and flags."""

import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from denram.config import (
    Section,
    Seed,
    convert,
    fingerprint,
    load_preset,
    load_profile,
    load_toml,
    merge,
)
from denram.errors import InputError
from denram.mapping import ErrorConfig, MapConfig
from denram.train.data import DataConfig
from denram.train.models import FAMILIES
from denram.train.noise import NoiseConfig
from denram.train.task import FitConfig

DEFAULT_MODEL = "delays"
TOP = ("model", "seed", "chip_seed")  # keys that stand beside the sections
_SHARED: Mapping[str, type[Section]] = types.MappingProxyType(
    {
        "map": MapConfig,
        "errors": ErrorConfig,
        "data": DataConfig,
        "noise": NoiseConfig,
        "fit": FitConfig,
    }
)


class RunConfig(Section, frozen=True):
    """Everything that decides a run's numbers.

    Attributes:
        model: name of the family, a key of `FAMILIES`.
        seed: devices, initial weights, batch order and noise all derive from it.
        chip_seed: seed of the devices alone, a virtual chip; None for the run's seed.
        map: what is asked of the chip.
        errors: what makes its devices differ from what they were meant to be.
        data: data set, binning and split.
        network: the family's own settings.
        noise: hardware noise and weight constraints.
        fit: training and scoring.
    """

    model: str
    seed: Seed
    chip_seed: Seed | None
    map: MapConfig
    errors: ErrorConfig
    data: DataConfig
    network: Any
    noise: NoiseConfig
    fit: FitConfig

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all settings; where the data lie does not count."""
        moved = msgspec.structs.replace(self.data, data_dir=None)
        return fingerprint(msgspec.structs.replace(self, data=moved))


def sections(model: str = DEFAULT_MODEL) -> dict[str, type[Section]]:
    """Name and class of every section of a family's configuration.

    Raises:
        InputError: there is no such family.
    """
    if not isinstance(model, str) or model not in FAMILIES:
        raise InputError(f"model must be one of {', '.join(FAMILIES)}, got {model!r}")
    return {**_SHARED, "network": FAMILIES[model].NetworkConfig}


def nested(settings: Mapping[str, Any], model: str = DEFAULT_MODEL) -> dict[str, Any]:
    """Sort flat settings, such as flags, into their sections.

    Every key belongs to one section only, so flat names are unambiguous.

    Raises:
        InputError: no section has the key.
    """
    home = {
        key: name
        for name, cls in sections(model).items()
        for key in cls.__struct_fields__
    }
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if key in TOP:
            result[key] = value
        elif key in home:
            result.setdefault(home[key], {})[key] = value
        else:
            raise InputError(f"unknown key {key!r}{_elsewhere(key, model)}")
    return result


def _elsewhere(key: str, model: str) -> str:
    """Whose setting it is, if it is one."""
    owners = [
        name
        for name, family in FAMILIES.items()
        if key in family.NetworkConfig.__struct_fields__
    ]
    return f" for model {model}: it belongs to {', '.join(owners)}" if owners else ""


def resolve(
    flags: Mapping[str, Any] = types.MappingProxyType({}),
    *,
    preset: str | None = None,
    file: Path | None = None,
    card: Mapping[str, Any] = types.MappingProxyType({}),
) -> RunConfig:
    """Lay out a configuration: defaults < data set < card < preset < file < flags.

    Args:
        flags: flat settings; they win.
        preset: name of a shipped preset.
        file: TOML file with the sections' tables.
        card: flat settings that a device card or a map brings along.

    Raises:
        InputError: unknown preset or key, or a value that breaks a rule.
    """
    over = [load_preset(preset) if preset else {}, _read(file) if file else {}]
    model = _last("model", [*over, flags], DEFAULT_MODEL)
    over.append(nested(flags, model))
    data = over[-1].get("data", {})
    if "n_steps" in data:  # a window that is asked for is meant
        over[-1] = merge({"data": {"truncation": True}}, over[-1])
    dataset = _last("dataset", [layer.get("data", {}) for layer in over], "synthetic")
    clock = FAMILIES[model].CARD_KEYS_LEFT
    brought = {key: value for key, value in card.items() if key not in clock}
    profile = load_profile(model, dataset)
    return from_dict(merge(profile, nested(brought, model), *over))


def _read(file: Path) -> dict[str, Any]:
    """A settings file that is valid on its own, so that errors can name it."""
    values = load_toml(file)
    try:
        from_dict(values)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return values


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """Validate nested settings; what is absent takes its default.

    Raises:
        InputError: an unknown key, or a value that breaks a rule.
    """
    model = values.get("model", DEFAULT_MODEL)
    known = sections(model)
    unknown = set(values) - set(known) - set(TOP)
    if unknown:
        raise InputError(f"unknown key {sorted(unknown)[0]!r}")
    parts: dict[str, Any] = {}
    for name, cls in known.items():
        table = values.get(name, {})
        if not isinstance(table, Mapping):
            raise InputError(f"{name} must be a table, got {table!r}")
        parts[name] = convert(cls, table)
    chip_seed = values.get("chip_seed")
    top = {"model": model, "seed": values.get("seed", 42), "chip_seed": chip_seed}
    return convert(RunConfig, {**top, **parts})


def _last(key: str, layers: Iterable[Mapping[str, Any]], default: str) -> str:
    found = [layer[key] for layer in layers if key in layer]
    return found[-1] if found else default


def require_delays(config: RunConfig, what: str) -> None:
    """Refuse a run of another family than the one with a single map of delays.

    Args:
        config: of the run.
        what: the command or file that needs it.

    Raises:
        InputError: the run is of another family.
    """
    if config.model != "delays":
        raise InputError(f"{what} must be of model delays, got {config.model}")


def differences(one: RunConfig, other: RunConfig) -> list[str]:
    """Keys whose values differ, as `key: one -> other`."""
    a, b = (_flat(msgspec.to_builtins(config)) for config in (one, other))
    keys = sorted({*a, *b} - {"data_dir"})
    return [f"{k}: {a.get(k)} -> {b.get(k)}" for k in keys if a.get(k) != b.get(k)]


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(value if isinstance(value, Mapping) else {key: value})
    return flat
