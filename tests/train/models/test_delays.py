import jax
import jax.numpy as jnp
import numpy as np
import pytest
from msgspec.structs import replace
from oracles import published_membrane_maximum, tolerance

from denram.errors import InputError
from denram.mapping import MapConfig, build_map
from denram.train import resolve
from denram.train.models.delays import NetworkConfig, build, memory_bytes
from denram.train.noise import NoiseConfig

SMALL = MapConfig(n_in=6, n_out=4, n_delays=3, max_delay=8, r_mu=25e9)
CHIP = build_map(SMALL, seed=3, noise_std=0.1)
PLAIN, NOISE = NetworkConfig(), NoiseConfig()
ALIVE = np.zeros(6, bool)


def _network(network=PLAIN, noise=NOISE, chip=CHIP, dead=ALIVE):
    return build(network, noise, chip, n_steps=10, dead_inputs=dead, batch_size=4)


def _batch(seed=0):
    x = np.random.default_rng(seed).random((10, 5, 6)) < 0.3
    return jnp.asarray(x.astype(np.uint8))


def _params(network, seed=0):
    return network.init(key=jax.random.key(seed))


def _logits(network, params, x, noise_std=0.0):
    encoded = network.encode(x)
    return network.apply(params, encoded, key=jax.random.key(9), noise_std=noise_std)


@pytest.mark.parametrize("one_less", [False, True])
def test_logits_are_the_published_ones(one_less):
    network = _network(NetworkConfig(max_delay_is_one_less=one_less))
    x, params = _batch(), _params(network)
    longest = int(CHIP.delay_steps.max())
    used = np.minimum(CHIP.delay_steps, longest - 1) if one_less else CHIP.delay_steps
    assert (CHIP.delay_steps == longest).any()
    slow = published_membrane_maximum(
        x.transpose(1, 0, 2).astype(jnp.float32),
        params["weights"],
        params["bias"],
        used,
        alpha=np.float32(np.exp(-0.005 / 0.02)),
        max_delay=longest,
    )
    found = _logits(network, params, x)
    np.testing.assert_allclose(found, slow, rtol=tolerance("float32"), atol=1e-5)


def test_a_delay_of_exactly_max_delay_is_honoured():
    chip = build_map(
        MapConfig(n_in=1, n_out=1, n_delays=1, max_delay=8, r_mu=40e9, r_std=0.0),
        seed=0,
        noise_std=0.0,
    )
    assert chip.delay_steps.ravel().tolist() == [8]
    network = build(
        NetworkConfig(),
        NoiseConfig(),
        chip,
        n_steps=3,
        dead_inputs=np.zeros(1, bool),
        batch_size=1,
    )
    x = jnp.asarray([1, 0, 0], jnp.uint8)[:, None, None]
    current = network.current(jnp.ones((1, 1, 1)), jnp.zeros(1), network.encode(x))
    expected = np.zeros(11)
    expected[8] = 1.0
    np.testing.assert_allclose(current.ravel(), expected, atol=1e-6)


def test_initial_weights_are_half_normal_and_the_bias_is_signed():
    chip = build_map(MapConfig(n_in=60, n_delays=16), seed=0, noise_std=0.0)
    network = _network(chip=chip, dead=np.zeros(60, bool))
    params = _params(network)
    expected = 0.3 / np.sqrt(60) * np.sqrt(2 / np.pi)
    assert params["weights"].min() >= 0
    assert float(params["weights"].mean()) == pytest.approx(expected, rel=0.02)
    assert params["bias"].min() < 0


@pytest.mark.parametrize(("rule", "largest"), [("live", 2.0), ("all", 7.0)])
def test_range_of_the_noise_is_live_or_published(rule, largest):
    dead = ALIVE.copy()
    dead[1] = True
    network = _network(noise=NoiseConfig(noise_range=rule), dead=dead)
    weights = jnp.ones((4, 6, 3)).at[0, 1, 0].set(5.0).at[0, 0, 0].set(-2.0)
    params = {"weights": weights, "bias": jnp.full(4, 7.0)}
    key = jax.random.key(0)
    small, _ = network.devices_read(params, key=key, noise_std=0.0)
    noisy, _ = network.devices_read(params, key=key, noise_std=1.0)
    draw = jax.random.normal(jax.random.split(key)[0], weights.shape)
    np.testing.assert_allclose(noisy - small, draw * largest, rtol=1e-4, atol=1e-5)


def test_absent_devices_carry_nothing_whatever_the_noise():
    mask = np.ones(CHIP.mask.shape, bool)
    mask[2, 3, 1] = False
    chip = type(CHIP)(**{**vars(CHIP), "mask": mask})
    network = _network(chip=chip)
    read, _ = network.devices_read(
        _params(network), key=jax.random.key(0), noise_std=0.5
    )
    assert read[2, 3, 1] == 0
    assert (np.asarray(read) == 0).sum() == 1


LABELS, VALID = jnp.asarray([0, 1, 2, 3, 0]), jnp.ones(5, bool)


@pytest.mark.parametrize("name", ["weights", "bias"])
def test_gradient_is_a_finite_difference(name):
    network = _network()
    x, params = _batch(1), _params(network)

    def loss(values):
        logits = _logits(network, {**params, name: values}, x)
        return network.loss(logits, LABELS, VALID)

    shape = params[name].shape
    direction = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    up, down = (float(loss(params[name] + s * direction)) for s in (1e-2, -1e-2))
    found = float(jnp.sum(jax.grad(loss)(params[name]) * direction))
    assert found == pytest.approx((up - down) / 2e-2, rel=0.03, abs=2e-3)


def test_gradient_under_noise_is_that_of_the_noisy_weights():
    network = _network()
    x, params = _batch(1), _params(network)
    key = jax.random.key(9)

    def loss(params, noise_std):
        logits = _logits(network, params, x, noise_std)
        return network.loss(logits, LABELS, VALID)

    weights, bias = network.devices_read(params, key=key, noise_std=0.3)
    expected = jax.grad(loss)({"weights": weights, "bias": bias}, 0.0)
    found = jax.grad(loss)(params, 0.3)
    for name in params:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_a_map_that_does_not_fit_is_refused_by_name():
    with pytest.raises(InputError, match=r"map must have as many .*\(7\), got 6"):
        _network(dead=np.zeros(7, bool))


def test_levels_need_a_largest_weight():
    config = replace(SMALL, weight_levels=4)
    chip = build_map(config, seed=0, noise_std=0.0)
    with pytest.raises(InputError, match="weight_max must be set"):
        _network(chip=chip)


def test_positive_devices_with_a_known_range_never_switch_off():
    config = replace(SMALL, g_min=1e-6, g_max=1e-5, weight_levels=4)
    chip = build_map(config, seed=0, noise_std=0.0)
    noise = NoiseConfig(positive_weights=True, weight_max=0.5)
    network = _network(noise=noise, chip=chip)
    read, _ = network.devices_read(
        _params(network), key=jax.random.key(0), noise_std=0.0
    )
    ladder = np.linspace(0.05, 0.5, 4)
    assert np.abs(np.asarray(read)[..., None] - ladder).min(axis=-1).max() < 1e-6


def test_memory_of_the_published_network_is_a_few_hundred_megabytes():
    needed = memory_bytes(resolve({"dataset": "shd"}), n_steps=150)
    spectrum = 350 * 64 * 700 * 4
    assert 2 * spectrum < needed < 10 * spectrum
