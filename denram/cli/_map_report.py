"""The report of one chip on screen: its devices, its delays, what it wastes."""

from typing import TYPE_CHECKING, Any

from denram.cli import _screen as screen
from denram.config import as_dict

if TYPE_CHECKING:
    from rich.console import Console

    from denram.devices import DeviceCard
    from denram.mapping import ErrorConfig, HardwareMap, MapReport


def print_report(out: "Console", chip: "HardwareMap", report: "MapReport") -> None:
    post, pre, tap = report.shape
    size = f"{pre} inputs x {post} neurons x {tap} delays"
    silent = chip.mask.size - report.n_synapses
    told = f"{size} = {chip.mask.size} synapses"
    told += f", {silent} of them silent" if silent else ""
    detail = f"{told}, seed {chip.seed}"
    screen.heading(out, "DenRAM map", detail)
    _print_resistance(out, report)
    if chip.errors:
        screen.line(out, "theory: of devices as they are formed, without device errors")
    _print_delay(out, report)
    _print_waste(out, chip, report)


def _print_resistance(out: "Console", report: "MapReport") -> None:
    chip, law, fit = report.resistance, report.theory, report.fit
    rows = [
        ("mean", screen.si(chip.mean_ohm, "ohm"), screen.si(law.mean_ohm, "ohm")),
        ("median", screen.si(chip.median_ohm, "ohm"), screen.si(law.median_ohm, "ohm")),
        ("CV", screen.number(chip.cv), screen.number(law.cv)),
    ]
    screen.heading(out, "Resistance")
    screen.table(out, ("", "this chip", "theory"), rows)
    if fit.p_value is None:
        screen.line(out, f"No test: {fit.note}")
        return
    verdict = "agrees with" if fit.p_value > 0.01 else "DIFFERS from"
    found = f"{screen.number(fit.statistic)}, p = {screen.number(fit.p_value, 3)}"
    screen.line(out, f"{fit.test} {found}: {verdict} {fit.note}")


def _print_delay(out: "Console", report: "MapReport") -> None:
    delay = report.delay
    names = ("mean", "median", "std", "min", "max")
    steps = [f"{getattr(delay, f'{name}_steps'):.2f}" for name in names]
    ms = [f"{1e3 * getattr(delay, f'{name}_s'):.0f}" for name in names]
    screen.heading(
        out, "Delay", f"mean {steps[0]} timesteps ({ms[0]} ms), rounded and saturated"
    )
    names = ("mean", "median", "sd", "min", "max")
    screen.table(out, ("", *names), [("timesteps", *steps), ("ms", *ms)])


def _print_waste(out: "Console", chip: "HardwareMap", report: "MapReport") -> None:
    waste = report.waste
    window = f"{waste.n_steps} steps = {1e3 * waste.n_steps * chip.timestep_s:.0f} ms"
    screen.heading(out, "Wasted synapses", f"input window {window}")
    rows = [
        (r.reason.replace("_", " "), str(r.count), f"{r.percent:.2f}", r.meaning)
        for r in waste.reasons
    ]
    rows += [
        ("wasted in all", str(waste.wasted), f"{waste.wasted_percent:.2f}", ""),
        ("effective", str(waste.effective), f"{100 - waste.wasted_percent:.2f}", ""),
    ]
    screen.table(out, ("", "count", "%", ""), rows)
    theory = screen.percent(waste.clipped_share_theory, 3)
    screen.line(
        out, f"saturated: {screen.percent(waste.clipped_share, 3)}, theory {theory}"
    )


def print_origin(out: "Console", held: dict[str, Any], card: "DeviceCard") -> None:
    """Say of every value of the card whether it holds, and what is known of it."""
    from denram.mapping import CARD_KEYS

    screen.heading(out, "Where the values come from", f"card {card.name}")
    for row in card.provenance():
        key = CARD_KEYS.get(row.quantity, row.quantity)
        value = held.get(key, row.value)
        told = f"{len(value)} values" if isinstance(value, tuple) else f"{value:g}"
        shown = f"{key} = {told} {'' if row.unit == '1' else row.unit}".rstrip()
        told = f"{row.kind}: {row.source.removeprefix(f'{row.kind}: ')}"
        told = told if value == row.value else "set for this map"
        screen.line(out, f"  {shown}  ({told})")


def print_set(out: "Console", errors: "ErrorConfig", card: "DeviceCard") -> None:
    """Device errors that are on and come from no card."""
    from denram.mapping import ErrorConfig, card_settings
    from denram.mapping.delay_errors import STUCK_LRS_OHM

    brought, ideal = card_settings(card), ErrorConfig()
    for key, value in as_dict(errors).items():
        if value != getattr(ideal, key) and brought.get(key) != value:
            screen.line(out, f"  {key} = {value}  (set for this map)")
    if errors.delay_stuck_lrs:
        stuck = f"  stuck at LRS = {STUCK_LRS_OHM:g} ohm"
        screen.line(out, f"{stuck}  (assumed: the least that measured")
        screen.line(out, "    weight devices hold; any such delay is 0 steps)")
