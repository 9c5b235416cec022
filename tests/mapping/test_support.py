from pathlib import Path

import numpy as np
import pytest
from tiny import config as tiny_config

from denram.mapping import EFFECTS, ErrorConfig, MapConfig, build_map, support_rows
from denram.mapping.support import BOTH_ROLES

_ON = {
    "programming error": {"programming": "lognormal", "programming_sigma": 0.3},
    "program-and-verify": {
        "programming": "lognormal",
        "programming_sigma": 0.3,
        "verify_pulses": 5,
        "verify_tolerance": 0.1,
    },
    "stuck at HRS": {"stuck_hrs": 0.3},
    "stuck at LRS": {"stuck_lrs": 0.3},
    "relaxation and drift": {"relaxation_sigma": 0.3},
    "read noise": {"read_noise": 0.3},
    "temperature": {"activation_ev": 0.3},
}


def settings(effect: str, role: str) -> dict[str, object]:
    """What switches an effect on for one role."""
    own = {f"{role}_{k}": v for k, v in _ON.get(effect, {}).items()}
    if effect == "relaxation and drift":
        own["time_s"] = 1e6
    if effect == "temperature":
        own["temperature_kelvin"] = 350.0
    if effect == "comparator offset":
        own["comparator_sigma"] = 0.1
    if effect == "dead time":
        own["dead_time"] = True
    return own


def test_every_setting_belongs_to_one_effect_or_says_where_or_when() -> None:
    named = [
        f"{role}_{key}" if key in BOTH_ROLES else key
        for effect in EFFECTS
        for key in effect.keys
        for role in (("delay", "weight") if key in BOTH_ROLES else ("",))
    ]
    assert len(named) == len(set(named))
    context = {
        "drift_start_s",
        "time_s",
        "temperature_kelvin",
        "reference_kelvin",
        "train_on_targets",
    }
    of_others = {"r_std", "capacitor_sigma", "weight_levels", "noise_std"}
    own = set(ErrorConfig.__struct_fields__)
    assert set(named) - of_others == own - context


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e.name)
def test_delays_feel_an_effect_where_the_table_says(effect) -> None:
    if effect.name == "device-to-device":
        config, errors = MapConfig(n_in=16, r_std=0.5), ErrorConfig()
    elif effect.name == "capacitor mismatch":
        config, errors = MapConfig(n_in=16, capacitor_sigma=0.1), ErrorConfig()
    else:
        own = settings(effect.name, "delay")
        config, errors = MapConfig(n_in=16), ErrorConfig(**own)  # type: ignore[arg-type]
    plain = build_map(MapConfig(n_in=16), seed=1, noise_std=0.0)
    chip = build_map(config, seed=1, noise_std=0.0, errors=errors)
    changed = chip.fingerprint != plain.fingerprint
    assert changed == (effect.delay_training == "map")


@pytest.fixture(scope="module")
def splits():
    from denram.train.data import load

    config = tiny_config()
    return load(
        config.data, n_in=config.map.n_in, timestep_s=config.map.timestep, seed=1
    )


@pytest.mark.parametrize("role", ["delay", "weight"])
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e.name)
def test_training_and_test_feel_an_effect_where_the_table_says(
    effect,
    role: str,
    splits,
) -> None:
    """Logits of one batch change or not; two draws differ or not."""
    import jax

    from denram.train import prepare
    from denram.train.scoring import set_logits
    from denram.train.task import decoded

    entries = getattr(effect, f"{role}_training"), getattr(effect, f"{role}_test")
    own = settings(effect.name, role)
    if effect.name in {"device-to-device", "capacitor mismatch"}:
        own = {"r_std": 0.6} if effect.name[0] == "d" else {"capacitor_sigma": 0.1}
    if effect.name == "weight levels":
        own = {"weight_levels": 3, "weight_max": 0.1}
    base = {"noise_std": 0.0, "eval_draws": 2, "batch_size": 8}
    if effect.name == "weight levels":
        base["weight_max"] = 0.1
    if effect.name.startswith("weight noise"):
        own = {"noise_std": 0.1}
    if role == "delay" and effect.name.startswith("weight"):
        own = {}
    if effect.membrane_test:
        own = {"tau_sigma": 0.3, "tau_redrawn": effect.keys == ("tau_redrawn",)}
        entries = effect.membrane_training, effect.membrane_test
    elif role == "weight" and effect.weight_test == "":
        return  # a delay effect has nothing to do with weights
    plain = prepare(tiny_config(**base), splits=splits)
    task = prepare(tiny_config(**{**base, **own}), splits=splits)
    indices = np.arange(8)[None]
    batch = next(iter(decoded(splits.test, indices)))

    def trained(one, key):
        encoded = one.model.encode(batch.x)
        return np.asarray(
            one.model.apply(plain.params, encoded, key=key, noise_std=one.noise_std)
        )

    keys = jax.random.split(jax.random.key(5))
    meant = trained(plain, keys[0])
    first, second = (trained(task, key) for key in keys)
    assert np.array_equal(first, meant) == (entries[0] in {"no", ""})
    assert np.array_equal(first, second) == (entries[0] != "each batch")

    few = splits.test.select(np.arange(8))
    tested, _ = set_logits(
        task, plain.params, few, task.test_noise_std, key=keys[0], draws=2
    )
    ideal, _ = set_logits(plain, plain.params, few, 0.0, key=keys[0], draws=2)
    same = np.allclose(tested[0], ideal[0], atol=1e-5)
    assert same == (entries[1] == "")
    draws_alike = np.array_equal(tested[0], tested[1])
    assert draws_alike == (entries[1] not in {"each draw", "each spike"}) or (
        effect.name == "dead time" and draws_alike  # no chance in it
    )


def test_the_documents_show_the_table_of_the_code() -> None:
    page = Path(__file__).parents[2] / "docs" / "devices.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    for row in support_rows():
        cells = [*row[:-1], row[-1].replace("*", r"\*")]
        assert "| " + " | ".join(cells) + " |" in lines
