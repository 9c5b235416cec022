import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused

from denram.cli.fit import fit
from denram.devices import load_card

QUICK = ["--bootstrap", "100", "--out", "out"]
OHM = ["--unit", "ohm", "--role", "delay"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, r, head="R"):
    Path(name).write_text("\n".join([head, *map(repr, map(float, r))]) + "\n")


def lognormal(n=300, sigma=0.4, seed=0):
    return np.exp(np.random.default_rng(seed).normal(26, sigma, n))


def bimodal(n=300):
    rng = np.random.default_rng(1)
    return np.exp(rng.choice([20.0, 24.0], n) + 0.2 * rng.standard_normal(n))


def series_file(name, n_cells=200):
    rng = np.random.default_rng(2)
    first = np.exp(rng.normal(10, 0.3, n_cells))
    rows = ["cell;time;R;level"]
    for time in (0, 0.1, 1, 10, 1000):
        gain = np.exp(
            0.05 * rng.standard_normal(n_cells) * (time > 0) * (time + 1) ** 0.1
        )
        rows += [
            f"{i};{time};{r!r};{i % 4}"
            for i, r in enumerate(
                (first * 2.0 ** (np.arange(n_cells) % 4) * gain).tolist()
            )
        ]
    Path(name).write_text("\n".join(rows) + "\n")


def test_the_folder_holds_report_and_picture_and_the_law_agrees():
    write("m.csv", lognormal())
    code, out, err = call(fit, "m.csv", *OHM, *QUICK, "--strict", "--law", "lognormal")
    assert (code, err) == (0, "")
    assert "agrees with lognormal: KS p" in out
    assert {p.name for p in Path("out").iterdir()} == {"report.json", "fit.png"}
    assert Path("out/fit.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads(Path("out/report.json").read_text())
    found = told["laws"]["lognormal"]["parameters"]["sigma_ln"]
    assert found == pytest.approx(np.log(lognormal()).std())


@pytest.mark.parametrize(("strict", "expected"), [([], 0), (["--strict"], 3)])
def test_a_rejected_law_is_told_and_still_drawn(strict, expected):
    write("m.csv", bimodal())
    arguments = ["m.csv", *OHM, *QUICK, "--law", "lognormal", *strict]
    code, out, _ = call(fit, *arguments)
    assert code == expected
    assert "DIFFERS from lognormal" in out
    assert Path("out/fit.png").exists()


def test_a_fit_that_does_not_converge_is_told_and_still_drawn():
    r = np.concatenate([np.full(60, 1e9), lognormal(100)])
    write("m.csv", r)
    arguments = ["m.csv", *OHM, *QUICK, "--law", "mixture", "--strict"]
    code, out, _ = call(fit, *arguments)
    assert code == 3
    assert "DIFFERS: the mixture fit did not converge" in out
    assert Path("out/fit.png").exists()


def test_delays_become_a_card_by_capacitor_and_threshold():
    write("m.csv", 0.7e-12 * lognormal(), head="delay [s]")
    arguments = ["m.csv", "--unit", "seconds", "--role", "delay", *QUICK]
    assert "--cap must be given" in refused(fit, *arguments)
    arguments += ["--cap", "1e-12"]
    assert "--threshold_factor must be given" in refused(fit, *arguments)
    arguments += ["--threshold_factor", "0.7", "--card-out", "mine.toml"]
    assert "--licence must be given with --card-out" in refused(fit, *arguments)
    assert not Path("out").exists()
    code, out, _ = call(fit, *arguments, "--licence", "CC0-1.0")
    assert code == 0
    assert "denram-map --card mine.toml" in out
    card = load_card("./mine.toml")
    assert card.resistance is not None
    assert card.resistance.sigma_ln == pytest.approx(np.log(lognormal()).std(), 1e-4)
    assert card.resistance.median_ohm == pytest.approx(
        np.exp(np.log(lognormal()).mean()), rel=1e-4
    )


def test_open_cells_are_counted_and_not_lost():
    r = lognormal(2000)
    limit = float(np.quantile(r, 0.8))
    text = ["R", *(repr(float(x)) if x < limit else "OL" for x in r)]
    Path("m.csv").write_text("\n".join(text))
    code, out, _ = call(fit, "m.csv", *OHM, *QUICK, "--above", repr(limit))
    assert code == 0
    assert "censored: 400 from above" in out
    told = json.loads(Path("out/report.json").read_text())
    law = told["laws"]["lognormal"]
    # of all cells, not of those that could be read
    assert law["parameters"]["sigma_ln"] == pytest.approx(np.log(r).std(), rel=0.04)
    assert (told["n_open"], law["rejected"]) == (400, False)


def test_a_series_gives_drift_halves_and_levels():
    series_file("s.csv")
    names = ["--column", "R", "--address", "cell", "--time", "time", "--level", "level"]
    arguments = ["s.csv", "--unit", "ohm", "--role", "weight", *names, *QUICK]
    arguments += ["--half-split", "--card-out", "w.toml", "--licence", "MIT"]
    code, out, err = call(fit, *arguments)
    assert (code, err) == (0, "")
    assert "Half of the cells foretells the other" in out
    told = json.loads(Path("out/report.json").read_text())
    assert told["series"]["n_readings"] == [200] * 5
    assert {row["time_s"] for row in told["half_split"]} == {0, 0.1, 1, 10, 1000}
    text = tomllib.loads(Path("w.toml").read_text())["lrs"]
    assert text["levels"]["value"] == 4
    law = told["series"]["law"]["parameters"]
    assert text["drift_nu"]["value"] == pytest.approx(law["drift_nu"], rel=1e-5)
    assert load_card("./w.toml").g_max_siemens is not None


def test_few_cells_of_which_many_were_not_read_are_no_defect():
    series_file("s.csv", n_cells=36)
    rows = Path("s.csv").read_text().splitlines()
    kept = [r for r in rows if ";10;" not in r or r.startswith(("1;", "2;"))]
    Path("s.csv").write_text("\n".join(kept))
    names = ["--column", "R", "--address", "cell", "--time", "time", "--level", "level"]
    arguments = ["s.csv", "--unit", "ohm", "--role", "weight", *names, "--half-split"]
    code, _, err = call(fit, *arguments, "--bootstrap", "0", "--out", "out")
    assert (code, err) == (0, "")
    told = json.loads(Path("out/report.json").read_text())
    assert told["series"]["n_readings"] == [36, 36, 36, 2, 36]
    # two cells of 10 s foretell nothing
    assert {row["time_s"] for row in told["half_split"]} == {0, 0.1, 1, 1000}


def test_equal_seeds_give_equal_files_and_default_folders_differ():
    write("m.csv", lognormal(60))
    base = ["m.csv", *OHM, "--bootstrap", "100"]
    for extra in (["--seed", "1"], ["--seed", "2"], ["--seed", "1", "--out", "again"]):
        assert call(fit, *base, *extra)[0] == 0
    first, second = (json.loads(p.read_text()) for p in Path("fits").glob("*/*.json"))
    again = json.loads(Path("again/report.json").read_text())
    assert again in (first, second)
    assert first != second
    assert "--out must not exist yet" in refused(fit, *base, "--seed", "1")


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["none.csv"], "cannot read 'none.csv'"),
        (["m.csv", "--column", "Q"], "--column must be one of R, got 'Q'"),
        (["m.csv", "--where", "R"], "--where must be NAME=VALUE, got 'R'"),
        (["m.csv", "--bootstrap", "7"], "--bootstrap must be 0 or >= 100, got 7"),
        (["m.csv", "--above", "1", "--below", "2"], "--below must be < --above"),
        (["m.csv", "--above", "nan"], "--above must be a finite number"),
        (["m.csv", "--half-split"], "--half-split must stand with --time"),
        (["m.csv", "--cap", "1e-12"], "must stand with --unit seconds"),
        (["m.csv", "--licence", "MIT"], "--licence must stand with --card-out"),
        (["m.csv", "--read_noise_skip", "2"], "must stand with --read_noise"),
        (["m.csv", "--card-out", "x.txt"], "--card-out must end in .toml"),
        (["m.csv", "--above", "1"], "30 devices with known readings or more, got 0"),
        (["few.csv"], "30 devices with known readings or more, got 29"),
        (["same.csv"], "readings must differ"),
        (["kilo.csv"], "--unit and --scale must agree with the header"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, rule):
    write("m.csv", lognormal(40))
    write("few.csv", lognormal(29))
    write("same.csv", np.full(40, 1e9))
    write("kilo.csv", lognormal(40), head="R [kohm]")
    before = sorted(Path().iterdir())
    assert rule in refused(fit, *arguments[:1], *OHM, "--out", "out", *arguments[1:])
    assert sorted(Path().iterdir()) == before


def test_unit_and_role_are_required():
    write("m.csv", lognormal(40))
    assert "--unit" in refused(fit, "m.csv", "--role", "delay")
    assert "--role" in refused(fit, "m.csv", "--unit", "ohm")


def test_no_bootstrap_is_no_test():
    write("m.csv", lognormal(40))
    code, out, _ = call(fit, "m.csv", *OHM, "--bootstrap", "0", "--out", "out")
    assert code == 0
    assert "not tested" in out
    told = json.loads(Path("out/report.json").read_text())
    assert told["laws"]["lognormal"]["ks_p"] is None


def test_files_that_exist_are_left_alone():
    write("m.csv", lognormal(40))
    Path("mine.toml").write_text("precious")
    arguments = ["m.csv", *OHM, "--card-out", "mine.toml", "--licence", "MIT"]
    assert "--card-out must not exist yet" in refused(fit, *arguments)
    assert Path("mine.toml").read_text() == "precious"


def test_a_mixture_is_not_put_into_a_card_of_one_lognormal():
    write("m.csv", bimodal())
    card = ["--card-out", "mine.toml", "--licence", "MIT", "--source", "here"]
    code, out, err = call(fit, "m.csv", *OHM, *QUICK, *card)
    assert (code, err) == (0, "")
    assert "No card: the readings are a mixture" in out
    assert not Path("mine.toml").exists()
    # insisted on, it is written, and said to be rejected
    other = ["--bootstrap", "100", "--out", "again", "--law", "lognormal"]
    code, out, _ = call(fit, "m.csv", *OHM, *other, *card)
    assert code == 0
    assert "CAUTION: the lognormal is rejected by the test" in out
    assert "rejected" in Path("mine.toml").read_text()
    Path("mine.toml").unlink()
    code, _, _ = call(fit, "m.csv", *OHM, *other[:2], *other[4:], *card, "--strict")
    assert code == 3
    assert not Path("mine.toml").exists()
