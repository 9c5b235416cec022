"""A device card from a fit: what was measured, and nothing else."""

from dataclasses import dataclass
from typing import Any, Literal

import tomli_w

from denram.devices.fit import Fit
from denram.devices.fit_halves import HalfRow
from denram.errors import InputError

Role = Literal["delay", "weight"]
_GROUP = {"delay": "hrs", "weight": "lrs"}
_DIGITS = 6


@dataclass(frozen=True)
class CardHead:
    """What the card says of itself, and what the fit cannot know.

    Attributes:
        name: of the card.
        licence: of the measured data.
        description: one line; made from the fit if None.
        origin: where the data come from, beside the file's name; or None.
        one_state: the devices were all programmed alike: their spread is the state's.
        circuit: capacitance_farad and threshold_factor by which delays were turned into
            resistances; or None.
    """

    name: str
    licence: str
    description: str | None = None
    origin: str | None = None
    one_state: bool = True
    circuit: tuple[float, float] | None = None


def card_text(fit: Fit, role: Role, head: CardHead) -> str:
    """The card as TOML.

    Raises:
        InputError: the fit gives no quantity of a card.
    """
    told = f"{fit.readings.source.file}, sha256 {fit.readings.source.sha256}"
    origin = told if head.origin is None else f"{head.origin}; {told}"
    values = _state(fit, head) | _conductance(fit, role) | _drift(fit) | _noise(fit)
    if not values:
        raise InputError("--card-out must have something to hold, got no quantity")
    about = head.description or (
        f"{role} devices, fitted to {fit.readings.size} measured devices"
    )
    card: dict[str, Any] = {
        "card": {
            "name": head.name,
            "description": about,
            "licence": head.licence,
            "source": origin,
        },
        _GROUP[role]: values,
    }
    if head.circuit is not None:
        card["circuit"] = _circuit(*head.circuit)
    return tomli_w.dumps(card)


def _quantity(value: float, unit: str, source: str, kind: str = "measured") -> dict:
    number = float(f"{value:.{_DIGITS}g}")
    return {"value": number, "unit": unit, "kind": kind, "source": source}


def _told(fit: Fit, what: str) -> str:
    source = fit.readings.source
    digest = source.sha256[:12]  # [card] holds all of it
    return f"{source.file}, sha256 {digest}..., n = {fit.readings.size}: {what}"


def _state(fit: Fit, head: CardHead) -> dict[str, Any]:
    """Mean and spread of the state, if all devices were programmed to one."""
    if not head.one_state or fit.levels is not None:
        return {}
    found = fit.laws["lognormal"]
    if found.fitness.ks_p is None:
        verdict = "not tested"
    else:
        verdict = "rejected" if found.rejected else "not rejected"
        verdict += f" (Kolmogorov-Smirnov p = {found.fitness.ks_p:.2g}, bootstrap)"
    law = found.law.parameters()
    told = f"maximum likelihood of a lognormal, which is {verdict}"
    return {
        "mean_ohm": _quantity(law["mean_ohm"], "ohm", _told(fit, told)),
        "sigma_ln": _quantity(law["sigma_ln"], "1", _told(fit, told)),
    }


def _conductance(fit: Fit, role: Role) -> dict[str, Any]:
    if role == "delay":
        return {} if fit.levels is None else _programming(fit)
    low, high = fit.g_range_siemens
    if fit.levels is None:
        told = [f"{name} quantile of the conductance" for name in ("1 %", "99 %")]
        extra = {}
    else:
        n_levels = fit.levels.median_ohm.size
        told = [
            f"median of the {name} of {n_levels} levels"
            for name in ("lowest", "highest")
        ]
        counted = "levels with a quarter of the usual number of cells or more;"
        counted = f"{counted} {fit.levels.n_rare} rarer ones are left out"
        extra = {"levels": _quantity(n_levels, "1", _told(fit, counted))}
    return {
        "g_min_siemens": _quantity(low, "siemens", _told(fit, told[0])),
        "g_max_siemens": _quantity(high, "siemens", _told(fit, told[1])),
        **extra,
        **_programming(fit),
    }


def _programming(fit: Fit) -> dict[str, Any]:
    """Error about the level's median; none if the levels are bands of the reading."""
    levels = fit.levels
    if levels is None or levels.bands:
        return {}
    told = f"ln(R / level median) over {levels.median_ohm.size} levels"
    sigma = _quantity(levels.pooled_sigma_ln, "1", _told(fit, f"{told}, pooled"))
    found = {"programming_sigma_ln": sigma}
    # 1.63 / sqrt(n): 1 % of Kolmogorov's distribution
    if levels.normal_distance > 1.63 / levels.n_cells.sum() ** 0.5:
        table = _quantity(0.0, "1", _told(fit, f"quantiles of {told}, not lognormal"))
        table["value"] = [float(f"{q:.{_DIGITS}g}") for q in levels.quantiles]
        found["programming_quantiles"] = table
    return found


def _drift(fit: Fit) -> dict[str, Any]:
    if fit.series is None or fit.series.law is None or not fit.series.law.converged:
        return {}
    times = fit.series.series.time_s
    told = (
        f"drift law fitted to ln(R(t) / R(0)) at {times.size - 1} times from"
        f" {times[1]:.3g} to {times[-1]:.3g} s{_missed(fit.halves)}"
    )
    units = {"drift_start_s": "second"}
    return {
        name: _quantity(value, units.get(name, "1"), _told(fit, told))
        for name, value in fit.series.law.parameters().items()
    }


def _missed(halves: list[HalfRow]) -> str:
    """What the half split says of the law."""
    later = [row for row in halves if row.normal is not None and row.time_s > 0]
    if not later:
        return ""
    found = []
    for name, told in (("R", "R"), ("change", "ln(R(t) / R(0))")):
        rows = [row for row in later if row.quantity == name]
        worst = max(rows, key=lambda row: row.normal or 0.0)
        found.append(f"{worst.normal:.3f} in {told} ({worst.floor:.3f} between halves)")
    return (
        "; foretelling the other half of the cells, largest Kolmogorov-Smirnov distance"
        f" {' and '.join(found)}"
    )


def _noise(fit: Fit) -> dict[str, Any]:
    found = fit.read_noise
    if found is None:
        return {}
    low, high = found.relative.min(), found.relative.max()
    told = (
        f"{found.file}, sha256 {found.sha256}: median over {found.relative.size} cells"
        f" of sd / mean of {found.n_reads} reads, slow changes included;"
        f" {low:.2g} to {high:.2g}"
    )
    return {"read_noise": _quantity(found.median, "1", told)}


def _circuit(capacitance_farad: float, threshold_factor: float) -> dict[str, Any]:
    told = "given by the user, to turn measured delays into resistances"
    return {
        "capacitance_farad": _quantity(capacitance_farad, "farad", told, "assumed"),
        "threshold_factor": _quantity(threshold_factor, "1", told, "assumed"),
    }
