from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from msgspec.structs import replace
from oracles import delayed_currents_loop
from scipy.special import log_softmax, softmax

from denram.errors import DenRAMWarning, InputError
from denram.train import prepare, resolve, run, run_together
from denram.train.chips import drawn_chips
from denram.train.layered import LayeredNetwork
from denram.train.models.hsnn.plan import layer_taps, layer_taus
from denram.train.models.hsnn.start import weight_bound
from denram.train.task import decoded

TINY = {
    "model": "hsnn",
    "n_in": 12,
    "n_hid": 7,
    "n_train": 120,
    "n_test": 40,
    "n_steps": 40,
    "nb_epochs": 2,
    "batch_size": 32,
    "eval_draws": 2,
}
MTS = {
    "model": "hsnn",
    "dataset": "mts_xor",
    "n_train": 96,
    "n_test": 32,
    "batch_size": 32,
    "nb_epochs": 2,
}


def config(**settings):
    return resolve({**TINY, **settings}, preset=settings.pop("preset", None))


def _synapse(layer, kind, w, z, chip: Any):
    if kind == "delays":
        return delayed_currents_loop(z, w, chip.delay_steps, len(z))
    if kind != "convolution" or w.ndim == 2:
        return z @ w
    found = np.zeros((*z.shape[:2], w.shape[-1]))
    back = layer.synapse.dilation * (len(w) - 1 - np.arange(len(w)))
    for k, b in enumerate(back):
        if b < len(z):
            found[b:] += z[: len(z) - b] @ w[k]
    return found


def _twin(task, params, x, *, own_statistics, kind="dense", chips=None):
    """The published equations, step by step in float64; scores before softmax."""
    model = task.model
    z = np.asarray(x, np.float64)
    for number, (layer, learnt, running) in enumerate(
        zip(model.layers, params["layers"], params["statistics"], strict=True)
    ):
        w = np.asarray(learnt["weights"], np.float64)
        chip = None if chips is None else chips[f"map-{number + 1}"]
        i = _synapse(layer, kind, w, z, chip)
        mean, var = (np.asarray(running[k], float) for k in ("mean", "var"))
        if own_statistics:
            mean, var = i.mean(axis=(0, 1)), i.var(axis=(0, 1))
        norm = {k: np.asarray(v, float) for k, v in learnt["norm"].items()}
        i = norm["scale"] * (i - mean) / np.sqrt(var + 1e-5) + norm["shift"]
        alpha = np.clip(np.asarray(learnt["alpha"], float), *layer.alpha_range)
        v, s, out = np.zeros(i.shape[1:]), np.zeros(i.shape[1:]), []
        last = number + 1 == len(model.layers)
        for now in i:
            if "feedback" in learnt:
                fed = np.asarray(learnt["feedback"], float)
                now = now + s @ (fed * (1 - np.eye(len(fed))))  # noqa: PLW2901
            v = alpha * v + ((1 - alpha) * now if last else now - s)
            s = (v > 1.0).astype(float)
            out.append(v if last else s)
        z = np.array(out)
    return softmax(z, axis=-1).sum(axis=0)


def _scores(task, params, x, noise_std=0.0):
    encoded = task.model.encode(jnp.asarray(x), None)
    return np.asarray(
        task.model.apply(params, encoded, key=jax.random.key(0), noise_std=noise_std)
    )


KINDS = {
    "dense": {},
    "recurrent": {"recurrent": True, "tied_init": True},
    "convolution": {
        "convolution": True,
        "conv_kernel": 4,
        "conv_dilation": 2,
        "hierarchy_conv": "kernel",
        "delta_ker": 2,
    },
    "delays": {
        "delay_layers": "all",
        "n_delays": 2,
        "max_delay": 30,
        "r_mu": 100e9,
    },
}


@pytest.mark.parametrize("own_statistics", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_scores_are_those_of_the_published_equations(name, own_statistics):
    rule = "batch" if own_statistics else "running"
    settings = config(**KINDS[name], norm_at_test=rule, hierarchy_tau="tanh")
    chips = drawn_chips(settings)
    task = prepare(settings, chip=chips)
    x = np.asarray(next(iter(decoded(task.splits.test, np.arange(9)[None]))).x)
    params = dict(task.params)
    params["statistics"] = [  # as after a training, so that there are spikes
        {"mean": one["mean"] + 0.02, "var": one["var"] * 0.02}
        for one in params["statistics"]
    ]
    found = _scores(task, params, x)
    expected = _twin(
        task,
        params,
        x,
        own_statistics=own_statistics,
        kind=name,
        chips=chips if name == "delays" else None,
    )
    # a membrane within rounding of the threshold may spike in one of both
    close = np.abs(found - expected).max(axis=1) < 2e-3 * np.abs(expected).max()
    assert close.mean() >= 0.7
    assert np.ptp(expected) > 0.02


def test_the_training_loss_is_cross_entropy_of_batch_statistics_and_penalties():
    settings = config(dropout_rate=0.0, l2_lambda=0.01, train_alpha=True)
    task = prepare(settings)
    batch = next(iter(decoded(task.splits.train, np.arange(8)[None])))
    found, outcome = task.model.objective(
        task.params,
        task.model.encode(batch.x, batch.valid),
        batch.labels,
        batch.valid,
        key=jax.random.key(0),
        noise_std=0.0,
    )
    scores = _twin(task, task.params, batch.x, own_statistics=True)
    ce = -log_softmax(scores, axis=1)[np.arange(8), np.asarray(batch.labels)].mean()
    layers = task.params["layers"]
    l2 = sum((np.asarray(one["weights"], float) ** 2).sum() for one in layers)
    spread = sum(np.linalg.norm(a - a.mean()) for a in (o["alpha"] for o in layers))
    over = [np.clip(np.asarray(o["alpha"]) - 0.95, 0, None) for o in layers]
    alpha = 0.1 * np.linalg.norm(np.concatenate(over))
    expected = ce + 0.01 * l2 + 1e-2 * spread + alpha
    assert float(found) == pytest.approx(expected, rel=3e-3)
    moved = outcome.moved["statistics"][0]["mean"]
    assert float(jnp.abs(moved).max()) > 0


@pytest.mark.parametrize("train_alpha", [False, True])
def test_decays_are_learnt_where_asked_and_never_the_readouts(train_alpha):
    task = prepare(config(train_alpha=train_alpha))
    batch = next(iter(decoded(task.splits.train, np.arange(16)[None])))

    def loss(params):
        return task.model.objective(
            params,
            task.model.encode(batch.x, batch.valid),
            batch.labels,
            batch.valid,
            key=jax.random.key(0),
            noise_std=0.0,
        )[0]

    found = jax.grad(loss)(task.params)["layers"]
    moved = [float(jnp.abs(one["alpha"]).max()) > 0 for one in found]
    assert moved == [train_alpha, train_alpha, False]
    assert all(float(jnp.abs(one["weights"]).max()) > 0 for one in found)


@pytest.mark.parametrize(
    ("layers", "n_hid", "weights"),
    [(4, 32, 25_088), (3, 32, 24_064), (5, 32, 26_112), (5, 128, 141_312)],
)
def test_weights_are_as_many_as_the_paper_counts(layers, n_hid, weights):
    settings = config(n_in=700, n_layers=layers, n_hid=n_hid, n_train=40, n_test=20)
    held = prepare(settings).params["layers"]
    assert sum(one["weights"].size for one in held) == weights


def test_weights_of_the_convolution_are_as_many_as_the_paper_counts():
    shapes = {"convolution": True, "hierarchy_conv": "kernel", "n_in": 700}
    for delta, weights in ((3, 369_664), (0, 532_480)):
        settings = config(**shapes, delta_ker=delta, n_hid=128, n_train=40, n_test=20)
        held = prepare(settings).params["layers"]
        # the readout's 128 x 20 are counted too
        assert sum(one["weights"].size for one in held) == weights
        assert layer_taps(settings.network)[0][0] == (3 if delta else 5)


@pytest.mark.parametrize(
    ("rule", "layers", "expected"),
    [
        ("published-sweep", 4, [0.0378, 0.0884, 0.0884, 0.0884]),
        ("published-sweep", 3, [0.0757] * 3),
        ("published-main", 4, [0.0783] * 4),
        ("fan_in", 3, [700**-0.5, 128**-0.5, 128**-0.5]),
    ],
)
def test_initial_weights_follow_the_rule(rule, layers, expected):
    settings = config(n_in=700, n_hid=128, n_layers=layers, w_scale_rule=rule)
    sizes = [700, *[128] * (layers - 1)]
    found = [weight_bound(settings, n, fan) for n, fan in enumerate(sizes)]
    assert found == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_recurrent_weights_start_as_the_input_weights_if_published(tied):
    held = prepare(config(recurrent=True, tied_init=tied, n_layers=4)).params["layers"]
    same = [np.array_equal(one["weights"], one["feedback"]) for one in held[1:3]]
    assert same == [tied, tied]


def test_the_published_convolution_halves_its_time_constants():
    """Spec: tau .02 at 7 ms bins gives alpha .497 instead of .705."""
    base = {"n_hid": 3, "distrib_tau": "homogeneous", "tau_mem": 0.02}
    base |= {"timestep": 0.007}
    for step, alpha in ((None, 0.705), (0.014, 0.497)):
        own = base if step is None else {**base, "alpha_timestep": step}
        held = prepare(config(**own)).params["layers"]
        np.testing.assert_allclose(held[0]["alpha"], alpha, atol=5e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau_mem": 0.6, "alpha_clip": "published"}, r"600 ms acts as 495 ms"),
        ({"tau_mem": 50.0}, r"layer 1: 5e\+04 ms acts as 1e\+04 ms"),
        ({"tau_mem": 1e-4}, r"between 0.8686 and .*layer 2: 0.1 ms acts as 0.8686 ms"),
        ({"delta_ker": 2}, "change nothing without convolution"),
        ({"convolution": True, "delta_ker": 2}, "delta_ker changes nothing with hier"),
    ],
)
def test_what_has_no_effect_is_warned_of_with_the_effective_value(settings, message):
    with pytest.warns(DenRAMWarning, match=message):
        prepare(config(timestep=0.01, tau_out=0.1, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_layers": 1}, "n_layers must be int >= 2, got 1"),
        ({"n_layers": 2, "hierarchy_tau": "tanh"}, "n_layers must be >= 3"),
        ({"hierarchy_tau": "linear", "delta_tau": 0.3}, "delta_tau must leave every"),
        ({"conv_kernel": 0}, "conv_kernel must be int >= 1, got 0"),
        ({"conv_dilation": 0}, "conv_dilation must be int >= 1, got 0"),
        ({"n_out": 10}, r"n_out must be the number of classes of .*\(20\), got 10"),
        ({"n_out": 35}, r"\(20\), got 35"),
        ({"decoder": "vmem_time"}, "decoder must not be vmem_time for"),
        ({"delay_layers": "all", "convolution": True}, "delay_layers must be none"),
        ({"weight_levels": 4}, "weight_max must be set when the chip has 4 levels"),
        ({"tau_mem": -0.1}, "tau_mem must be float > 0.0, got -0.1"),
        ({"weight_levels": 1, "weight_max": 1.0}, "weight_levels must be 0"),
        ({"g_min": 1e-5, "g_max": 1e-6}, "g_min and g_max must hold 0 < g_min < g_max"),
        ({"weight_stuck_hrs": 0.7, "weight_stuck_lrs": 0.7}, "must be <= 1, got 1.4"),
        ({"dead_time": True}, "dead_time must be off with model hsnn, got True"),
        ({"delay_read_noise": 0.1}, "delay_read_noise must be off with model hsnn"),
        ({"train_on_targets": True}, "train_on_targets must be off without delayed"),
        ({"freq_shift": 12.0}, r"freq_shift must be < n_in \(12\), got 12"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(InputError, match=message):
        prepare(config(**settings))


def test_single_step_targets_need_the_decoder_of_single_steps():
    with pytest.raises(InputError, match="decoder must be vmem_time for MTS-XOR"):
        prepare(resolve({**MTS, "decoder": "cum"}))


def test_a_model_of_one_class_per_sample_refuses_single_step_targets():
    with pytest.raises(InputError, match="one class per sample for model delays"):
        prepare(resolve({**MTS, "model": "delays", "n_in": 40, "n_steps": 100}))


def test_settings_of_another_family_say_whose_they_are():
    with pytest.raises(InputError, match=r"'n_hid' for model delays: .* hsnn"):
        resolve({"n_hid": 3})


def test_single_step_targets_are_scored_on_the_scored_steps(tmp_path):
    result = run(resolve(MTS), tmp_path / "run")
    assert result["confusion"].sum() == 32 * 60 * result.sizes["draw"]
    share = np.trace(result["confusion"].values) / result["confusion"].values.sum()
    assert float(result["test_accuracy"].mean()) == pytest.approx(share)
    assert result["time_constant"].shape == (2, 10)


def test_networks_that_differ_in_numbers_alone_train_in_one_program(tmp_path):
    base = config(order_seed=0, nb_epochs=2, timestep=0.01)
    own = [
        replace(base, seed=seed, network=replace(base.network, **changes))
        for seed, changes in (
            (1, {}),
            (2, {"hierarchy_tau": "tanh", "delta_tau": 0.15, "w_scale_rule": "fan_in"}),
        )
    ]
    together = run_together(own, [tmp_path / "a", tmp_path / "b"])
    for number, settings in enumerate(own):
        alone = run(settings, tmp_path / f"alone-{number}")
        found = together[number]
        np.testing.assert_allclose(found["train_loss"], alone["train_loss"], rtol=0.02)
        np.testing.assert_allclose(
            found["time_constant"], alone["time_constant"], rtol=1e-5
        )


@pytest.mark.parametrize(
    "errors",
    [
        {"noise_std": 0.2},
        {"weight_programming": "lognormal", "weight_programming_sigma": 0.3},
        {"weight_stuck_hrs": 0.3},
        {"weight_read_noise": 0.3},
        {"weight_levels": 3, "weight_max": 0.3},
        {"positive_weights": True},
        {"tau_sigma": 0.4},
        {"tau_sigma": 0.4, "tau_redrawn": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["recurrent", "delays"])
def test_devices_act_in_every_layer_and_train_straight_through(errors, kind):
    own = {**KINDS[kind], "norm_at_test": "batch"}  # else nothing spikes untrained
    plain, task = prepare(config(**own)), prepare(config(**own, **errors))
    assert isinstance(task.model, LayeredNetwork)
    batch = next(iter(decoded(task.splits.train, np.arange(16)[None])))
    level = errors.get("noise_std", 0.0)
    meant = _scores(plain, plain.params, batch.x)
    assert not np.allclose(_scores(task, plain.params, batch.x, level), meant)

    def loss(params):
        return task.model.objective(
            params,
            task.model.encode(batch.x, batch.valid),
            batch.labels,
            batch.valid,
            key=jax.random.key(0),
            noise_std=level,
        )[0]

    for one in jax.grad(loss)(plain.params)["layers"]:
        assert np.isfinite(one["weights"]).all()
        assert float(jnp.abs(one["weights"]).max()) > 0
    ideal = task.model.ideal()
    if not {"weight_max", "positive_weights"} & errors.keys():
        encoded = ideal.encode(jnp.asarray(batch.x), None)
        clean = ideal.apply(plain.params, encoded, key=jax.random.key(0), noise_std=0.0)
        np.testing.assert_array_equal(clean, meant)


def test_time_constants_of_the_chip_are_the_law_applied_to_those_meant():
    from denram.mapping import tau_factors

    settings = config(tau_sigma=0.3, chip_seed=9)
    task = prepare(settings)
    model: Any = task.model
    layer, learnt = model.layers[1], task.params["layers"][1]
    neuron = layer._membranes(learnt, key=jax.random.key(0))
    meant = -1.0 / np.log(np.asarray(learnt["alpha"], float))
    found = -1.0 / np.log(np.asarray(neuron.alpha, float))
    factors = tau_factors(7, 0.3, settings.map, seed=9, name="layer-2")
    np.testing.assert_allclose(found, meant * factors, rtol=1e-4)


def test_a_card_brings_noise_and_levels_but_not_the_clock_of_its_delays():
    card = {"noise_std": 0.1, "timestep": 5e-3, "max_delay": 9, "tau_sigma": 0.4}
    found = resolve({"model": "hsnn", "dataset": "shd"}, card=card)
    assert found.noise.noise_std == 0.1
    assert found.errors.tau_sigma == 0.4
    assert found.map.timestep == 0.014


def test_presets_lie_over_the_data_sets_own_settings():
    found = resolve({"dataset": "mts_xor"}, preset="hsnn-2024")
    assert found.model == "hsnn"
    assert (found.map.n_in, found.network.n_hid, found.fit.batch_size) == (40, 10, 512)
    assert found.fit.adam_step == "epoch"
    assert found.network.norm_at_test == "batch"
    assert found.network.alpha_timestep is None
    conv = resolve({"dataset": "shd"}, preset="hsnn-2024-convolution")
    assert conv.network.alpha_timestep == 2 * conv.map.timestep
    assert conv.data.use_test_as_valid
    # spec 3.8: main.py has 4 layers, kernels 5 with delta 3, dilations 3 with delta 2
    assert layer_taps(conv.network) == [(3, 2), (4, 3), (6, 4), (1, 1)]
    assert layer_taus(conv) == [0.015, 0.015, 0.015, 0.2]


def test_padding_changes_nothing_in_the_training_loss():
    settings = {"freq_lambda": 1.0, "dropout_rate": 0.0, "l2_lambda": 0.1}
    task = prepare(config(**settings))
    found = []
    for padding in (0, 8, 56):
        indices = np.concatenate([np.arange(8), np.full(padding, -1)])
        batch = next(iter(decoded(task.splits.train, indices[None])))
        loss, outcome = task.model.objective(
            task.params,
            task.model.encode(batch.x, batch.valid),
            batch.labels,
            batch.valid,
            key=jax.random.key(0),
            noise_std=0.0,
        )
        found.append([float(loss), *outcome.moved["statistics"][0]["mean"]])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-4, atol=1e-6)


def test_parameters_are_those_that_training_moves():
    """Spec: 25 088 weights and two of the normalisation per neuron (3 x 32 + 20)."""
    settings = {"n_in": 700, "n_layers": 4, "n_hid": 32, "n_train": 40, "n_test": 20}
    for learnt, more in ((False, 0), (True, 96)):
        task = prepare(config(**settings, train_alpha=learnt))
        assert task.model.n_trained(task.params) == 25_088 + 2 * 116 + more


def test_the_untrained_diagonal_does_not_count_in_the_range_of_the_noise():
    task = prepare(config(recurrent=True, noise_std=0.1))
    model: Any = task.model
    layer, learnt = model.layers[0], dict(task.params["layers"][0])
    i = task.model.encode(task_input(task), None)[0]

    def out(feedback):
        own = {**learnt, "feedback": feedback}
        statistics = task.params["statistics"][0]
        return layer.run(
            own,
            {**statistics, "var": 0.02 * statistics["var"]},
            i,
            valid=None,
            training=False,
            key=jax.random.key(0),
            noise_std=0.1,
        )[0]

    plain = learnt["feedback"]
    np.testing.assert_array_equal(out(plain), out(plain + 100.0 * jnp.eye(7)))


def task_input(task):
    return next(iter(decoded(task.splits.test, np.arange(9)[None]))).x


def test_device_errors_are_named_in_the_protocol(tmp_path):
    errors = {"tau_sigma": 0.2, "tau_redrawn": True}
    result = run(config(nb_epochs=1, **errors), tmp_path / "run")
    said = result.attrs["protocol"]
    assert "device errors: tau_sigma 0.2, tau_redrawn True" in said
    assert "x 2 noise draws" in said
    plain = run(config(nb_epochs=1), tmp_path / "plain").attrs["protocol"]
    assert "40 test samples, train noise 0" in plain


def test_a_leak_is_said_in_the_protocol(tmp_path):
    result = run(config(use_test_as_valid=True, nb_epochs=1), tmp_path / "run")
    assert "no honest test" in result.attrs["protocol"]


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    settings = config(nb_epochs=3, dropout_rate=0.2, freq_shift=1.0)
    whole = run(settings, tmp_path / "whole")

    class Stop(Exception):
        pass

    from denram.train import Watch

    def stop(row):
        if row.epoch == 1:
            raise Stop

    with pytest.raises(Stop):
        run(settings, tmp_path / "cut", watch=Watch(on_epoch=stop))
    again = run(settings, tmp_path / "cut", resume=True)
    np.testing.assert_array_equal(again["train_loss"], whole["train_loss"])
    np.testing.assert_array_equal(again["weights_2"], whole["weights_2"])
    np.testing.assert_array_equal(again["test_accuracy"], whole["test_accuracy"])
