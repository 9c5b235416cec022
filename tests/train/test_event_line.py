from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import delayed_currents_loop
from scipy import stats

from denram.devices import delay_steps
from denram.errors import InputError
from denram.mapping import MapConfig, build_map
from denram.train import _event_kernels, delay_line
from denram.train.event_line import event_currents, event_predictions
from denram.train.jitter import jitter_factors, jittered_taps
from denram.train.models.delays import NetworkConfig, build
from denram.train.noise import NoiseConfig

MASK = 0xFFFFFFFF
JIT = 0x6A697474
KNOWN_ANSWERS = [  # Random123's table, threefry2x32 of 13 rounds
    ((0, 0), (0, 0), (0x9D1C5EC6, 0x8BD50731)),
    ((MASK, MASK), (MASK, MASK), (0xFD36D048, 0x2D17272C)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xBA3E4725, 0xF27D669E)),
]


def slow_threefry(key, counter):
    """Threefry-2x32 of 13 rounds in plain whole numbers, from the paper's table."""
    k = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x0, x1 = (counter[0] + k[0]) & MASK, (counter[1] + k[1]) & MASK
    for n in range(13):
        bits = [13, 15, 26, 6, 17, 29, 16, 24][n % 8]
        x0 = (x0 + x1) & MASK
        x1 = ((x1 << bits) | (x1 >> (32 - bits))) & MASK ^ x0
        if n % 4 == 3:
            i = n // 4 + 1
            x0 = (x0 + k[i % 3]) & MASK
            x1 = (x1 + k[(i + 1) % 3] + i) & MASK
    return x0, x1


def slow_draw(address):
    """The 16 random bits of one spike at one synapse."""
    seed, read, sample, step, post, pre, tap = address
    key = slow_threefry((seed, JIT), (read, sample))
    key = slow_threefry(key, (step, pre))
    high, low = slow_threefry(key, (post, tap // 4))
    return (high << 32 | low) >> (48 - 16 * (tap % 4)) & 0xFFFF


def truncated(sigma):
    """SciPy's law of one delay over its mean: |sigma N| < 1."""
    return stats.truncnorm(-1 / sigma, 1 / sigma, loc=1.0, scale=sigma)


@dataclass(frozen=True)
class Case:
    """One layer and its input, in the arguments' own names."""

    spikes: np.ndarray
    weights: np.ndarray
    delay_s: np.ndarray
    timestep_s: float
    max_delay: int
    jitter_sigma: float = 0.0
    dead_time: bool = False
    seed: int = 3
    read: int = 0

    def fast(self, **changes):
        return event_currents(**{**vars(self), **changes})

    def steps(self):
        return delay_steps(
            self.delay_s, timestep_s=self.timestep_s, max_delay=self.max_delay
        )


def slow_currents(case):
    """Spike by spike, synapse by synapse."""
    x, w = case.spikes, case.weights
    out = np.zeros((x.shape[0] + case.max_delay, x.shape[1], w.shape[0]), np.float32)
    law = truncated(case.jitter_sigma) if case.jitter_sigma else None
    for b, (o, c, k) in (
        (b, synapse) for b in range(x.shape[1]) for synapse in np.ndindex(w.shape)
    ):
        charging = range(0)
        for s in np.flatnonzero(x[:, b, c]):
            factor = 1.0
            if law is not None:
                word = slow_draw((case.seed, case.read, b, int(s), o, c, k))
                factor = law.ppf((word + 0.5) / 65536)
            steps = np.rint(case.delay_s[o, c, k] / case.timestep_s * factor)
            d = int(min(steps, case.max_delay))
            if case.dead_time and s in charging:
                continue
            charging = range(s + 1, s + d)
            out[s + d, b, o] += w[o, c, k] * x[s, b, c]
    return out


def _case(case_seed, shape, max_delay, *, density=0.4, counts=1, **more):
    n_time, batch, pre, post, tap = shape
    rng = np.random.default_rng(case_seed)
    x = rng.integers(1, counts + 1, (n_time, batch, pre))
    x *= rng.random(x.shape) < density
    return Case(
        spikes=x.astype(np.uint8),
        # whole weights: float32 sums are exact, whatever their order
        weights=rng.integers(-4, 5, (post, pre, tap)).astype(np.float32),
        # halves too, which round to the even step, and delays that saturate
        delay_s=rng.integers(0, 2 * max_delay + 5, (post, pre, tap)) * 0.5 * 2**-8,
        timestep_s=2**-8,
        max_delay=max_delay,
        **more,
    )


@st.composite
def cases(draw, sigmas=(0.0,), dead_times=(False,)):
    shape = tuple(draw(st.integers(low, 4)) for low in (0, 0, 1, 1, 1))
    return _case(
        draw(st.integers(0, MASK)),
        (3 * shape[0], *shape[1:4], 2 * shape[4] - 1),
        draw(st.sampled_from([0, 1, 2, 9])),
        density=draw(st.sampled_from([0.0, 0.4, 1.0])),
        counts=draw(st.sampled_from([1, 3])),
        jitter_sigma=draw(st.sampled_from(sigmas)),
        dead_time=draw(st.sampled_from(dead_times)),
        seed=draw(st.integers(0, MASK)),
        read=draw(st.integers(0, MASK)),
    )


@given(cases())
def test_without_effects_the_currents_are_the_convolution(case):
    slow = delayed_currents_loop(
        case.spikes, case.weights, case.steps(), len(case.spikes) + case.max_delay
    )
    np.testing.assert_array_equal(case.fast(), slow)


def test_without_effects_the_currents_are_the_engines():
    case = _case(0, (20, 3, 7, 5, 6), 9, counts=2)
    engine = delay_line.delayed_currents(
        jnp.asarray(case.spikes),
        jnp.asarray(case.weights),
        jnp.asarray(case.steps()),
        max_delay=9,
    )
    np.testing.assert_allclose(case.fast(), engine, atol=1e-4)


@given(cases(sigmas=(0.0, 0.01, 0.2, 0.5), dead_times=(False, True)))
@settings(max_examples=60)
def test_currents_are_those_of_the_slow_twin(case):
    np.testing.assert_array_equal(case.fast(), slow_currents(case))


@given(cases(dead_times=(True,)))
@settings(max_examples=40)
def test_delays_of_at_most_one_step_lose_nothing(case):
    short = replace(case, delay_s=np.minimum(case.delay_s, 1.5 * 2**-8), max_delay=1)
    np.testing.assert_array_equal(short.fast(), short.fast(dead_time=False))


@pytest.mark.parametrize("d", [0, 1, 2, 3, 7, 20])
def test_of_a_spike_in_every_step_one_in_d_is_taken(d):
    current = event_currents(
        np.ones((20, 1, 1), np.uint8),
        np.ones((1, 1, 1)),
        np.full((1, 1, 1), d * 1e-3),
        timestep_s=1e-3,
        max_delay=20,
        dead_time=True,
    )
    expected = np.arange(0, 20, max(d, 1)) + d
    np.testing.assert_array_equal(np.flatnonzero(current), expected)


def test_each_element_is_dead_on_its_own():
    # tap 0 charges until step 3, tap 1 takes every spike; channels do not meet
    delay_s = np.array([[[3, 1], [0, 0]]]) * 1e-3
    x = np.zeros((3, 1, 2), np.uint8)
    x[:2, 0, 0] = x[1, 0, 1] = 1
    weights = np.array([[[1, 10], [100, 0]]], np.float32)
    found = event_currents(
        x, weights, delay_s, timestep_s=1e-3, max_delay=3, dead_time=True
    )
    assert found.ravel().tolist() == [0, 110, 10, 1, 0, 0]


@pytest.mark.parametrize(("key", "counter", "words"), KNOWN_ANSWERS)
def test_threefry_gives_the_known_answers_of_random123(key, counter, words):
    found = _event_kernels.threefry13(*(np.uint32(k) for k in (*key, *counter)))
    assert tuple(int(word) for word in found) == words
    assert slow_threefry(key, counter) == words


def _words(n_time, n_pre, counters):
    key = _event_kernels.sample_key(11, 2, 5)
    out = np.empty((n_time, n_pre, 4 * counters.shape[1]), np.uint16)
    for t, pre in np.ndindex(n_time, n_pre):
        _event_kernels.draws(out[t, pre], key, t, pre, counters)
    return out.reshape(n_time, n_pre, 4, *(counters.max(axis=1, initial=0) + 1))


def test_jitter_is_normal_and_independent_from_spike_to_spike():
    counters = np.indices((5, 4), np.uint32).reshape(2, -1)
    words = _words(40, 30, counters)  # (step, pre, tap % 4, post, tap // 4)
    assert words[6, 7, 3, 4, 2] == slow_draw((11, 2, 5, 6, 4, 7, 11))
    n = (jitter_factors(0.1)[words] - 1.0) / 0.1
    assert n.size >= 20_000
    assert stats.kstest(n.ravel(), "norm").pvalue > 0.01
    for axis in range(n.ndim):
        z = np.take(n, range(1, n.shape[axis]), axis) * np.take(
            n, range(n.shape[axis] - 1), axis
        )
        assert abs(z.mean()) * np.sqrt(z.size) < 4  # product of two: variance 1


@pytest.mark.parametrize("sigma", [0.01, 0.2, 0.5])
def test_the_table_is_the_truncated_law_to_its_resolution(sigma):
    table = jitter_factors(sigma)
    below = truncated(sigma).cdf(table)
    edges = np.arange(65537) / 65536
    assert max(abs(below - edges[1:]).max(), abs(below - edges[:-1]).max()) < 7.7e-6
    assert 0 < table.min() < table.max() < min(2, 1 + 4.33 * sigma)
    assert table.mean() == pytest.approx(1.0, abs=1e-12)


def test_mean_current_is_the_convolution_with_the_expected_kernel():
    case = _case(5, (12, 1, 6, 3, 5), 14, jitter_sigma=0.25)
    reads, n_out = 4000, 12 + 14
    # one sample, many reads: the same spikes under as many numbers
    many = np.repeat(case.spikes, reads, axis=1)
    found = case.fast(spikes=many).mean(axis=1, dtype=np.float64)
    mean, variance = np.zeros((2, n_out, 3))
    for o, c, k in np.ndindex(case.weights.shape):
        m, w = case.delay_s[o, c, k] / case.timestep_s, float(case.weights[o, c, k])
        edges = (np.arange(15) + 0.5) / m if m else np.full(15, np.inf)
        p = np.diff(truncated(0.25).cdf(edges), prepend=0.0)
        p[-1] = 1 - p[:-1].sum()
        for s in np.flatnonzero(case.spikes[:, 0, c]):
            mean[s : s + 15, o] += w * p
            variance[s : s + 15, o] += w * w * p * (1 - p)
    random = variance > 1e-6
    z = (found - mean)[random] / np.sqrt(variance[random] / reads)
    np.testing.assert_allclose(found[~random], mean[~random], atol=1e-3)
    assert abs(z).max() < 4.5
    assert np.mean(z**2) == pytest.approx(1.0, abs=0.5)
    steps, p = jittered_taps(
        case.delay_s, 0.25, timestep_s=case.timestep_s, max_delay=14
    )
    spread = (case.weights[..., None] * p).reshape(3, 6, -1)
    kernel = delayed_currents_loop(case.spikes, spread, steps.reshape(3, 6, -1), n_out)
    np.testing.assert_allclose(kernel[:, 0], mean, atol=1e-4)


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=5),
    st.sampled_from([0.01, 0.1, 0.5]),
    st.integers(0, 40),
)
@settings(max_examples=60)
def test_taps_are_scipys_probabilities_of_each_step(m, sigma, max_delay):
    delays = np.array(m) * 2**-8
    steps, p = jittered_taps(
        delays, sigma, timestep_s=2**-8, max_delay=max_delay, n_sigma=1 / sigma
    )
    assert steps.min() >= 0
    assert steps.max() <= max_delay
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    for i, step in np.ndindex(len(m), max_delay + 1):
        law = truncated(sigma)
        upper = 1.0 if step == max_delay else law.cdf(_over(step + 0.5, m[i]))
        lower = 0.0 if step == 0 else law.cdf(_over(step - 0.5, m[i]))
        found = p[i][steps[i] == step].sum()
        assert found == pytest.approx(upper - lower, abs=1e-12)


def _over(edge, m):
    return edge / m if m > 1e-300 else np.inf


def test_taps_without_jitter_are_the_rounded_delays():
    delay_s = np.array([0.0, 0.5, 1.5, 2.5, 99.0])
    steps, p = jittered_taps(delay_s, 0.0, timestep_s=1.0, max_delay=9)
    assert steps[:, 0].tolist() == [0, 0, 2, 2, 9]
    assert p.tolist() == [[1.0]] * 5


def test_draws_depend_on_no_thread_no_batch_and_no_layer():
    case = _case(1, (10, 5, 6, 4, 7), 20, jitter_sigma=0.3, dead_time=True)
    whole, before = case.fast(), numba.get_num_threads()
    try:
        for threads in range(1, before + 1):
            numba.set_num_threads(threads)
            np.testing.assert_array_equal(case.fast(), whole)
    finally:
        numba.set_num_threads(before)
    part = case.fast(spikes=case.spikes[:, [4, 2]], samples=np.array([4, 2]))
    np.testing.assert_array_equal(part, whole[:, [4, 2]])
    weights = case.weights.copy()
    weights[:, 4:], weights[..., 3:] = 0.0, 0.0
    small = case.fast(
        spikes=case.spikes[..., :4],
        weights=case.weights[:2, :4, :3],
        delay_s=case.delay_s[:2, :4, :3],
    )
    np.testing.assert_array_equal(small, case.fast(weights=weights)[..., :2])


@pytest.mark.parametrize("name", ["seed", "read"])
def test_another_seed_or_read_is_another_draw(name):
    case = _case(1, (10, 5, 6, 4, 7), 20, jitter_sigma=0.3)
    assert (case.fast(**{name: 9}) != case.fast()).any()


def test_a_synapse_of_weight_0_may_have_any_delay():
    case = _case(2, (5, 2, 3, 2, 2), 6)
    absent, weights = case.delay_s.copy(), case.weights.copy()
    weights[0, 0] = 0.0
    absent[0, 0] = np.nan, -1.0
    found = case.fast(weights=weights, delay_s=absent)
    np.testing.assert_array_equal(found, case.fast(weights=weights))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.float32])
def test_spikes_of_every_type_count_alike(dtype):
    case = _case(2, (9, 2, 3, 2, 2), 6, jitter_sigma=0.1)
    np.testing.assert_array_equal(
        case.fast(spikes=case.spikes.astype(dtype)), case.fast()
    )


@pytest.mark.parametrize("one_less", [False, True])
def test_logits_are_the_networks(one_less):
    chip = build_map(
        MapConfig(n_in=40, n_out=6, n_delays=5, max_delay=30, r_mu=60e9),
        seed=1,
        noise_std=0.0,
    )
    network = build(
        NetworkConfig(max_delay_is_one_less=one_less),
        NoiseConfig(),
        chip,
        n_steps=50,
        dead_inputs=np.zeros(40, bool),
        batch_size=8,
    )
    x = (np.random.default_rng(0).random((50, 8, 40)) < 0.1).astype(np.uint8)
    params = network.init(key=jax.random.key(0))
    key = jax.random.key(1)
    weights, bias = network.devices_read(params, key=key, noise_std=0.1)
    slow = network.apply(params, network.encode(jnp.asarray(x)), key=key, noise_std=0.1)
    found = event_predictions(
        np.asarray(weights),
        np.asarray(bias),
        chip.delay_s,
        x,
        timestep_s=chip.timestep_s,
        max_delay=int(chip.delay_steps.max()) - one_less,
        decay=float(network.neuron.alpha),
        n_steps=50,
    )
    assert found.max() > 0.5
    np.testing.assert_allclose(found, slow, atol=1e-4)


def test_logits_are_the_largest_membrane_under_both_effects():
    case = _case(3, (15, 4, 6, 3, 5), 12, jitter_sigma=0.2, dead_time=True)
    bias = np.array([-1.0, 0.5, 2.0])
    decay = np.array([0.0, 0.7, 1.0])
    found = event_predictions(bias=bias, decay=decay, n_steps=20, **vars(case))
    current = slow_currents(case).astype(np.float64)
    current[:20] += bias
    v, best = np.zeros((2, 4, 3))
    for now in current:
        v = np.maximum(0.0, decay * v + now)
        best = np.maximum(best, v)
    np.testing.assert_allclose(found, best, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"jitter_sigma": 0.6}, "jitter_sigma must be >= 0 and <= 0.5, got 0.6"),
        ({"jitter_sigma": np.nan}, "jitter_sigma must be >= 0 and <= 0.5, got nan"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        ({"read": 0.5}, "read must be a whole number from 0 to 4294967295, got 0.5"),
        ({"timestep_s": 0.0}, "timestep_s must be > 0"),
        ({"max_delay": -1}, "max_delay must be a whole number"),
        ({"samples": np.array([1])}, "samples must be 2 whole numbers"),
        ({"samples": np.array([-1, 0])}, "samples must be a whole number from 0"),
        ({"spikes": np.zeros((5, 2))}, r"spikes must be \(time, batch, 3\)"),
        ({"spikes": np.zeros((5, 2, 4))}, r"spikes must be \(time, batch, 3\)"),
        ({"spikes": np.full((5, 2, 3), np.inf)}, "spikes must be finite, got inf"),
        ({"weights": np.zeros(3)}, r"weights must be \(post, pre, tap\), got \(3,\)"),
        ({"weights": np.full((2, 3, 2), np.nan)}, "weights must be finite, got nan"),
        ({"delay_s": np.zeros((2, 3, 1))}, "delay_s must have the weights' shape"),
        ({"delay_s": np.full((2, 3, 2), -1.0)}, "delay_s must be finite and >= 0"),
    ],
)
def test_bad_currents_are_one_line(changes, line):
    case = replace(_case(2, (5, 2, 3, 2, 2), 6), weights=np.ones((2, 3, 2)))
    with pytest.raises(InputError, match=line):
        case.fast(**changes)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"bias": np.zeros(3)}, r"bias must be one per neuron \(2\), got \(3,\)"),
        ({"decay": 1.5}, "decay must be >= 0 and <= 1, got 1.5"),
        ({"n_steps": 12}, "n_steps must be a whole number from 0 to 11, got 12"),
    ],
)
def test_bad_networks_are_one_line(changes, line):
    case = _case(2, (5, 2, 3, 2, 2), 6)
    good = {"bias": np.zeros(2), "decay": 0.5, "n_steps": 5}
    with pytest.raises(InputError, match=line):
        event_predictions(**vars(case), **(good | changes))


def test_taps_without_width_are_refused():
    with pytest.raises(InputError, match=r"n_sigma must be > 0, got 0"):
        jittered_taps(np.ones(1), 0.1, timestep_s=1.0, max_delay=3, n_sigma=0)
