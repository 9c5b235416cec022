import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from denram.errors import InputError
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import draw_delays, pattern_steps

PUBLISHED = [
    # n_in, seed, mean, sd, smallest step of the released simulation
    (256, 42, 99.15, 38.43, 17),
    (256, 50, 99.21, 38.60, 15),
    (256, 9, 99.18, 38.31, 17),
    (700, 42, 99.08, None, None),
    (700, 50, 99.06, None, None),
    (700, 9, 99.09, None, None),
]


@pytest.mark.parametrize(("n_in", "seed", "mean", "sd", "low"), PUBLISHED)
def test_the_published_generator_gives_the_published_delays(n_in, seed, mean, sd, low):
    config = MapConfig(n_in=n_in, sampler="jax-legacy")
    steps = draw_delays(config, seed=seed).delay_steps
    assert steps.shape == (20, n_in, 16)
    assert round(float(steps.mean()), 2) == mean
    if sd is not None:
        assert round(float(steps.std()), 2) == sd
        assert steps.min() == low


def published_key(seed):
    import jax

    key, _ = jax.random.split(jax.random.PRNGKey(seed))
    return jax.random.split(key)[1]


@pytest.fixture
def old_jax():
    import jax

    with jax.threefry_partitionable(False):
        yield jax


def test_the_published_delays_are_those_of_jax_itself(old_jax):
    jnp = old_jax.numpy
    z = old_jax.random.normal(published_key(7), (20, 64 * 16))
    ohm = jnp.exp(jnp.float32(np.log(500e9) - 0.08) + jnp.float32(0.4) * z)
    steps = jnp.round(jnp.float32(1e-12) * ohm / jnp.float32(0.005))
    ours = draw_delays(MapConfig(n_in=64, sampler="jax-legacy"), seed=7)
    theirs = np.clip(np.asarray(steps), 0, 200).reshape(20, 64, 16)
    np.testing.assert_allclose(
        ours.resistance_ohm.reshape(20, -1), np.asarray(ohm), rtol=5e-6
    )
    # the two exp differ in the last place, which can tip a delay on a rounding edge
    differ = ours.delay_steps != theirs
    assert differ.sum() <= 2
    assert np.abs(ours.delay_steps - theirs).max() <= 1


def test_published_uniform_delays_are_those_of_jax_itself(old_jax):
    theirs = old_jax.random.randint(published_key(3), (20, 8 * 16), 0, 201)
    config = MapConfig(n_in=8, sampler="jax-legacy", delay_distribution="uniform")
    ours = draw_delays(config, seed=3).delay_steps
    np.testing.assert_array_equal(ours.reshape(20, -1), np.asarray(theirs))


@given(st.integers(0, 1000), st.integers(1, 40))
def test_a_pattern_is_a_ladder_of_python_rounded_steps(max_delay, n_delays):
    # Python's round is half to even, and of the same quotient
    ladder = [round(k * max_delay / n_delays) for k in range(n_delays)]
    config = MapConfig(
        n_in=2,
        n_out=3,
        n_delays=n_delays,
        max_delay=max_delay,
        delay_distribution="pattern",
    )
    assert pattern_steps(config).tolist() == ladder
    drawn = draw_delays(config, seed=0)
    assert (drawn.delay_steps == np.array(ladder)).all()


@given(
    st.sampled_from(["uniform", "pattern"]),
    st.floats(1e-9, 1e3),
    st.floats(1e-15, 1e-3),
    st.floats(0.1, 3),
    st.integers(0, 300),
)
@settings(max_examples=50)
def test_what_is_aimed_at_survives_resistance_and_rc(
    distribution, timestep, cap, factor, max_delay
):
    config = MapConfig(
        n_in=3,
        n_out=2,
        n_delays=5,
        timestep=timestep,
        cap=cap,
        threshold_factor=factor,
        max_delay=max_delay,
        delay_distribution=distribution,
    )
    drawn = draw_delays(config, seed=1)
    assert (drawn.resistance_ohm > 0).all()
    by_hand = np.rint(factor * drawn.resistance_ohm * cap / timestep)
    np.testing.assert_array_equal(drawn.delay_steps, by_hand)
    assert drawn.delay_steps.max() <= max_delay


def test_uniform_delays_take_every_step_up_to_the_largest_equally_often():
    config = MapConfig(max_delay=20, delay_distribution="uniform", n_in=200)
    counts = np.bincount(draw_delays(config, seed=5).delay_steps.ravel())
    assert counts.size == 21
    assert stats.chisquare(counts).pvalue > 0.01


def test_lognormal_resistances_pass_scipys_kolmogorov_smirnov():
    config = MapConfig(n_in=100)
    ohm = draw_delays(config, seed=11).resistance_ohm.ravel()
    law = stats.lognorm(s=0.4, scale=np.exp(np.log(500e9) - 0.08))
    assert stats.kstest(ohm, law.cdf).pvalue > 0.01


def test_a_device_keeps_its_delay_when_the_network_grows():
    small = draw_delays(MapConfig(n_in=10, n_out=3), seed=42).delay_steps
    large = draw_delays(MapConfig(n_in=50, n_out=7), seed=42).delay_steps
    np.testing.assert_array_equal(small, large[:3, :10, :])


def test_chips_of_one_seed_differ():
    first = draw_delays(MapConfig(n_in=50, chip=0), seed=42).delay_steps
    second = draw_delays(MapConfig(n_in=50, chip=1), seed=42).delay_steps
    # two independent draws of sd 38 agree on about 1 % of the devices
    assert (first == second).mean() < 0.05


def test_capacitor_mismatch_spreads_a_pattern_by_its_own_share():
    config = MapConfig(
        n_in=400, n_delays=4, delay_distribution="pattern", capacitor_sigma=0.1
    )
    third = draw_delays(config, seed=2).delay_s[:, :, 2]
    # 8000 draws: the standard error of the spread is 0.8 %
    assert third.mean() == pytest.approx(100 * 0.005, rel=0.005)
    assert third.std() / third.mean() == pytest.approx(0.1, rel=0.04)


@pytest.mark.parametrize(("name", "value"), [("capacitor_sigma", 0.1), ("chip", 1)])
def test_the_published_generator_refuses_what_it_never_had(name, value):
    config = MapConfig(n_in=2, sampler="jax-legacy", **{name: value})
    with pytest.raises(InputError, match=f"{name} must be 0 with sampler jax-legacy"):
        draw_delays(config, seed=0)
