"""What `denram-map fit` prints."""

from typing import TYPE_CHECKING

from denram.cli import _screen as screen

if TYPE_CHECKING:
    from rich.console import Console

    from denram.devices.fit import Fit


def print_fit(page: "Console", found: "Fit") -> None:
    """Laws, parameters, levels, drift, halves and read noise, each with its tests."""
    source = found.readings.source
    n_open = int((found.readings.kind > 0).sum())
    n_short = int((found.readings.kind < 0).sum())
    detail = f"{found.readings.size} devices, {source.n_readings} readings"
    screen.heading(page, f"Fit of {source.file}", detail)
    if n_open or n_short:
        screen.line(page, f"censored: {n_open} from above, {n_short} from below")
    if source.n_dropped:
        screen.line(page, f"left out: {source.n_dropped} rows that are no readings")
    _print_laws(page, found)
    _print_parameters(page, found)
    _print_levels(page, found)
    _print_drift(page, found)
    _print_halves(page, found)
    _print_noise(page, found)


def _print_laws(page: "Console", found: "Fit") -> None:
    from denram.devices.fit_data import verdict

    draws = found.settings.n_draws
    told = f"p by parametric bootstrap, {draws} draws" if draws else "no tests"
    screen.heading(page, "Laws", f"of the first readings; {told}")
    best = min(fit.law.aic for fit in found.laws.values())
    rows = []
    for name, fit in found.laws.items():
        f, sound = fit.fitness, fit.law.components.converged
        mark = " (chosen)" if name == found.chosen else ""
        rows.append(
            (
                name + mark,
                f"{fit.law.aic - best:.1f}",
                f"{f.ks:.4f}",
                screen.number(f.ks_p, 2),
                f"{f.ad:.3f}",
                screen.number(f.ad_p, 2),
                "yes" if sound else "NO",
            )
        )
    columns = ("", "AIC - best", "KS", "p", "AD", "p", "converged")
    screen.table(page, columns, rows)
    screen.line(page, f"The readings: {verdict(found)}")


def _print_parameters(page: "Console", found: "Fit") -> None:
    fit = found.laws[found.chosen]
    draws = found.settings.n_draws
    screen.heading(
        page, f"Parameters of {found.chosen}", f"95 % by bootstrap, {draws} draws"
    )
    _parameters(page, fit.law.parameters(), fit.intervals)
    low, high = found.g_range_siemens
    told = (
        "1 % to 99 % of known readings" if found.levels is None else "outermost levels"
    )
    shown = f"{screen.si(low, 'S')} to {screen.si(high, 'S')}"
    screen.line(page, f"conductance, {told}: {shown}")


def _parameters(page: "Console", values: dict, intervals: dict) -> None:
    rows = []
    for name, value in values.items():
        low, high = intervals.get(name, (None, None))
        unit = {"ohm": "ohm", "siemens": "S", "s": "s"}.get(name.rpartition("_")[2], "")
        shown = [
            "-" if x is None else screen.si(x, unit) if unit else f"{x:.4g}"
            for x in (value, low, high)
        ]
        rows.append((name, shown[0], f"{shown[1]} to {shown[2]}"))
    screen.table(page, ("", "value", "95 %"), rows)


def _print_levels(page: "Console", found: "Fit") -> None:
    levels = found.levels
    if levels is None:
        return
    detail = f"{levels.median_ohm.size}, and {levels.n_rare} rare ones left out"
    screen.heading(page, "Levels", detail)
    spread = f"sd of ln(R / median) {levels.pooled_sigma_ln:.4g}, levels pooled"
    low, high = levels.sigma_ln.min(), levels.sigma_ln.max()
    screen.line(page, f"{spread}; {low:.3g} to {high:.3g} from level to level")
    if levels.bands:
        screen.line(
            page,
            "The levels do not overlap: they are bands of the reading itself, and the"
            " spread in one is its width, no error of programming (no card has it)",
        )


def _print_drift(page: "Console", found: "Fit") -> None:
    if found.series is None:
        return
    series, law = found.series, found.series.law
    left = series.series.n_left_out
    detail = f"{series.series.n_cells} cells" + (
        f", {left} without a known first reading left out" if left else ""
    )
    screen.heading(page, "ln R(t) / R(0)", detail)
    time = series.series.time_s
    told = law.moments(time) if law is not None else None
    rows = [
        (
            f"{time[i]:.4g} s",
            str(series.n[i]),
            f"{series.mean[i]:.4f}",
            "-" if told is None else f"{told[0][i]:.4f}",
            f"{series.sigma[i]:.4f}",
            "-" if told is None else f"{told[1][i]:.4f}",
        )
        for i in range(1, time.size)
    ]
    screen.table(page, ("", "cells", "mean", "law", "sd", "law"), rows)
    if series.n.min() < series.n.max():
        told = (
            "times at which some cells were not read are weighted by first resistance"
        )
        screen.line(page, told)
    if law is None:
        screen.line(page, "No drift law: it needs three times after the first")
        return
    if not law.converged:
        screen.line(page, "DIFFERS: the drift fit did not converge")
    _parameters(page, law.parameters(), series.intervals)


def _print_halves(page: "Console", found: "Fit") -> None:
    from denram.devices.fit_data import drift_law
    from denram.devices.fit_halves import FORETOLD

    if not found.halves:
        return
    screen.heading(
        page,
        "Half of the cells foretells the other",
        f"Kolmogorov-Smirnov distances, split by seed {found.settings.seed}",
    )
    rows = [
        (
            "R" if row.quantity == "R" else "ln R(t)/R(0)",
            f"{row.time_s:.4g}",
            f"{row.n_first} / {row.n_second}",
            f"{row.floor:.4f}",
            *(screen.number(getattr(row, name), 3) for name in FORETOLD),
        )
        for row in found.halves
    ]
    columns = ("", "time, s", "cells", "halves", "law", *FORETOLD[1:])
    screen.table(page, [name.replace("_", " ") for name in columns], rows)
    screen.line(
        page,
        f"halves: between the halves themselves, the floor; law: {drift_law(found)},"
        " and at the first time of the first readings; by state: one for each of up to"
        " 16 first resistances; shape: those with tabulated quantiles; table: quantiles"
        " by state and time; left out: that table without this time",
    )


def _print_noise(page: "Console", found: "Fit") -> None:
    noise = found.read_noise
    if noise is None:
        return
    detail = f"{noise.relative.size} cells, {noise.n_reads} reads each"
    screen.heading(page, "Read noise", detail)
    rows = [
        (screen.si(g, "S"), f"{a:.4g}", f"{b:.4g}")
        for g, a, b in zip(noise.mean_siemens, noise.relative, noise.step, strict=True)
    ]
    screen.table(page, ("", "sd / mean", "read to read"), rows)
    screen.line(page, f"median {noise.median:.4g}")
