import numba as nb
import numpy as np
import pytest
from scipy import stats

from denram.devices import (
    LognormalProgramming,
    LognormalResistance,
    NoProgrammingError,
    NormalProgramming,
    ProgramVerify,
    Stream,
    TabulatedProgramming,
    program_verify,
    relative_band,
    standard_normal,
)
from denram.errors import InputError

SHAPE = (20, 63, 16)
STREAM = Stream("delay programming", chip=2)
TARGETS = LognormalResistance(5e11, 0.4).sample(
    SHAPE, seed=1, stream=Stream("delay-target")
)
LAWS = [
    NoProgrammingError(),
    LognormalProgramming(0.1),
    NormalProgramming(0.15),
    NormalProgramming(0.1, 4e-12),
    TabulatedProgramming((-0.3, -0.1, 0.1, 0.2)),
]


def twin(verify, target, low, high, *, seed, stream, start=None, stuck=None):
    """All devices at every pulse, NumPy only."""
    r = np.array(target if start is None else start)
    pulses = np.zeros(target.shape, np.int32)
    accepted = np.zeros(target.shape, bool)
    for i in range(verify.pulses):
        z = standard_normal(target.shape, seed=seed, stream=stream._replace(cycle=i))
        aim = target * (r / target) ** (1 - verify.correction)
        obtained = verify.law.apply(target if verify.correction == 1 else aim, z)
        if stuck is not None:
            obtained = np.where(stuck, r, obtained)
        r = np.where(accepted, r, obtained)
        pulses += ~accepted
        accepted |= (r >= low) & (r <= high)
    return r, pulses, accepted


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("correction", [1.0, 0.4])
def test_the_outcome_is_the_slow_twins(law, correction):
    verify = ProgramVerify(law, pulses=12, correction=correction)
    low, high = relative_band(TARGETS, 0.05)
    outcome = verify.program(TARGETS, low, high, seed=7, stream=STREAM)
    r, pulses, accepted = twin(verify, TARGETS, low, high, seed=7, stream=STREAM)
    np.testing.assert_array_equal(outcome.pulses, pulses)
    np.testing.assert_array_equal(outcome.accepted, accepted)
    np.testing.assert_allclose(outcome.resistance_ohm, r, rtol=1e-14)
    assert outcome.pulses.dtype == np.int32
    failed = [list(at) for at in np.ndindex(SHAPE) if not accepted[at]]
    assert outcome.failures().tolist() == failed
    assert outcome.failures().shape == (len(failed), 3)


@pytest.mark.parametrize("pulses", [1, 2, 5, 20])
def test_acceptance_within_the_budget_is_that_of_repeated_trials(pulses):
    sigma, tolerance = 0.1, 0.03
    low, high = relative_band(TARGETS, tolerance)
    outcome = ProgramVerify(LognormalProgramming(sigma), pulses).program(
        TARGETS, low, high, seed=1, stream=STREAM
    )
    law = stats.lognorm(sigma)
    p = law.cdf(1 + tolerance) - law.cdf(1 - tolerance)
    count = int(outcome.accepted.sum())
    assert stats.binomtest(count, TARGETS.size, 1 - (1 - p) ** pulses).pvalue > 0.01
    inside = (outcome.resistance_ohm >= low) & (outcome.resistance_ohm <= high)
    np.testing.assert_array_equal(outcome.accepted, inside)
    assert (outcome.pulses[~outcome.accepted] == pulses).all()


def test_the_pulses_spent_are_geometric():
    low, high = relative_band(TARGETS, 0.1)
    outcome = ProgramVerify(LognormalProgramming(0.2), 1000).program(
        TARGETS, low, high, seed=1, stream=STREAM
    )
    law = stats.lognorm(0.2)
    p = law.cdf(1.1) - law.cdf(0.9)
    most = 12
    seen = np.bincount(np.minimum(outcome.pulses.ravel(), most), minlength=most + 1)[1:]
    expected = [stats.geom.pmf(n, p) for n in range(1, most)]
    expected.append(stats.geom.sf(most - 1, p))
    assert stats.chisquare(seen, TARGETS.size * np.array(expected)).pvalue > 0.01
    assert outcome.failures().shape == (0, 3)


def test_a_partial_correction_carries_the_error_on():
    n, c, sigma = 6, 0.3, 0.1
    never = np.zeros(())  # no resistance is this small
    outcome = ProgramVerify(LognormalProgramming(sigma), n, c).program(
        TARGETS, never, never, seed=1, stream=STREAM, start_ohm=TARGETS * np.e
    )
    error = np.log(outcome.resistance_ohm / TARGETS).ravel()
    keep = 1 - c
    law = stats.norm(keep**n, sigma * np.sqrt((1 - keep ** (2 * n)) / (1 - keep**2)))
    assert stats.kstest(error, law.cdf).pvalue > 0.01
    assert not outcome.accepted.any()
    assert (outcome.pulses == n).all()


def test_stuck_devices_never_move():
    stuck = np.zeros(SHAPE, bool)
    stuck[0] = stuck[:, 0] = True
    start = TARGETS * 10
    start[0, 0, 0] = TARGETS[0, 0, 0]  # stuck where it should be
    low, high = relative_band(TARGETS, 0.1)
    verify = ProgramVerify(LognormalProgramming(0.05), 30, correction=0.8)
    outcome = verify.program(
        TARGETS, low, high, seed=1, stream=STREAM, start_ohm=start, stuck=stuck
    )
    np.testing.assert_array_equal(outcome.resistance_ohm[stuck], start[stuck])
    assert outcome.accepted[~stuck].all()
    assert (outcome.accepted[0, 0, 0], outcome.pulses[0, 0, 0]) == (True, 1)
    stuck[0, 0, 0] = False
    assert (outcome.pulses[stuck] == 30).all()
    np.testing.assert_array_equal(outcome.failures(), np.argwhere(stuck))


def test_neither_threads_nor_the_size_of_a_chunk_matter(monkeypatch):
    verify = ProgramVerify(LognormalProgramming(0.3), 25)
    low, high = relative_band(TARGETS, 0.02)

    def outcome():
        return verify.program(TARGETS, low, high, seed=3, stream=STREAM)

    whole = outcome()
    threads = nb.get_num_threads()
    nb.set_num_threads(1)
    monkeypatch.setattr(program_verify, "_CHUNK", 1000)
    try:
        parts = outcome()
    finally:
        nb.set_num_threads(threads)
    for name in ("resistance_ohm", "pulses", "accepted"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_a_later_programming_goes_on_from_a_later_cycle():
    low, high = relative_band(TARGETS, 1e-3)
    first = ProgramVerify(LognormalProgramming(0.1), 5)
    both = ProgramVerify(LognormalProgramming(0.1), 10)
    late = first.program(TARGETS, low, high, seed=1, stream=STREAM._replace(cycle=5))
    early = first.program(TARGETS, low, high, seed=1, stream=STREAM)
    all_ten = both.program(TARGETS, low, high, seed=1, stream=STREAM)
    rest = ~early.accepted
    np.testing.assert_array_equal(
        late.resistance_ohm[rest], all_ten.resistance_ohm[rest]
    )


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, 100_001])
def test_a_budget_that_is_no_count_is_refused(budget):
    with pytest.raises(InputError, match=rf"^pulses must be .* got {budget}"):
        ProgramVerify(LognormalProgramming(0.1), budget)


@pytest.mark.parametrize("correction", [0.0, -0.5, 1.5, np.nan])
def test_a_correction_that_is_no_share_is_refused(correction):
    with pytest.raises(InputError, match=r"^correction must be .*, got"):
        ProgramVerify(LognormalProgramming(0.1), 5, correction)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target_ohm": np.zeros((1, 1, 2))}, r"target_ohm must be .* got 0\.0"),
        ({"target_ohm": np.ones(2)}, r"shape must be \(post, pre, tap\)"),
        ({"low_ohm": np.nan}, "low_ohm must hold no NaN"),
        ({"low_ohm": 2.5}, r"low_ohm must be <= high_ohm, got 2\.5 and 2\.0"),
        ({"high_ohm": np.ones(3)}, r"high_ohm must broadcast to \(1, 1, 2\)"),
        ({"start_ohm": -1.0}, r"start_ohm must be .*, got -1\.0"),
        ({"stuck": True}, "start_ohm must be given where devices may be stuck"),
        ({"stuck": 1, "start_ohm": 1.0}, "stuck must be true or false, got int64"),
        ({"seed": -1}, "seed must be .*, got -1"),
    ],
)
def test_bad_programmings_are_refused(changed, message):
    given_ = {
        "target_ohm": np.ones((1, 1, 2)),
        "low_ohm": 0.5,
        "high_ohm": 2.0,
        "seed": 1,
        "stream": STREAM,
    }
    with pytest.raises(InputError, match=f"^{message}"):
        ProgramVerify(LognormalProgramming(0.1), 5).program(**(given_ | changed))
