import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denram.errors import InputError
from denram.mapping.placement import Crossbar, Plane

_small = st.integers(1, 7)


@st.composite
def planes(draw):
    per_synapse = draw(st.sampled_from([1, 2]))
    bar = Crossbar(
        rows=draw(_small),
        columns=draw(st.integers(per_synapse, 9)),
        fan_in=draw(st.none() | _small),
    )
    return Plane(
        bar, draw(_small), draw(_small), draw(_small), per_synapse, draw(_small)
    )


def by_hand(plane):
    """Fill the arrays one device after another, as a person would with a pencil."""
    bar = plane.crossbar
    lines = bar.rows if bar.fan_in is None else min(bar.rows, bar.fan_in)
    bands = [range(plane.n_pre)[i : i + lines] for i in range(0, plane.n_pre, lines)]
    synapses = list(itertools.product(range(plane.n_post), range(plane.n_tap)))
    room = bar.columns // plane.per_synapse
    groups = [synapses[i : i + room] for i in range(0, len(synapses), room)]
    found, array = {}, plane.first_array
    for band in bands:
        for group in groups:
            for row, pre in enumerate(band):
                column = 0
                for post, tap in group:
                    for device in range(plane.per_synapse):
                        found[post, pre, tap, device] = (array, row, column)
                        column += 1
            array += 1
    return found, array - plane.first_array


@given(planes())
def test_every_device_stands_where_a_pencil_puts_it(plane):
    expected, n_arrays = by_hand(plane)
    keys = np.array(list(expected))
    cells = plane.cells(*keys.T)
    assert np.array_equal(np.stack(cells, axis=1), list(expected.values()))
    assert plane.n_arrays == n_arrays


@given(planes())
def test_no_cell_is_shared_and_no_limit_is_passed(plane):
    axes = np.ogrid[: plane.n_post, : plane.n_pre, : plane.n_tap, : plane.per_synapse]
    cells = [c.ravel() for c in plane.cells(*axes)]
    taken = set(zip(*cells, strict=True))
    n_devices = plane.n_post * plane.n_pre * plane.n_tap * plane.per_synapse
    assert len(taken) == n_devices
    array, row, column = cells
    bar = plane.crossbar
    assert 0 <= row.min() <= row.max() < bar.rows
    assert 0 <= column.min() <= column.max() < bar.columns
    on_column = {}
    for a, _, c in taken:
        on_column[a, c] = on_column.get((a, c), 0) + 1
    assert max(on_column.values()) <= (bar.fan_in or bar.rows)
    used = np.unique(array)
    assert used[0] == plane.first_array
    assert used.size == plane.n_arrays


def test_the_published_network_takes_as_many_arrays_as_the_closed_form_says():
    bar = Crossbar(rows=256, columns=256, fan_in=200)
    delays, pairs = Plane(bar, 700, 20, 16), Plane(bar, 701, 20, 16, per_synapse=2)
    assert delays.grid == (math.ceil(700 / 200), math.ceil(320 / 256)) == (4, 2)
    assert pairs.grid == (4, 3)


def test_a_pair_is_never_cut_in_two():
    plane = Plane(Crossbar(4, 5), 1, 7, 1, per_synapse=2)
    plus, minus = (plane.cells(np.arange(7), 0, 0, device) for device in (0, 1))
    assert np.array_equal(plus.array, minus.array)
    assert np.array_equal(plus.column + 1, minus.column)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Crossbar(0, 4), "rows must be in [1, 1048576], got 0"),
        (lambda: Crossbar(4, -1), "columns must be in [1, 1048576], got -1"),
        (lambda: Crossbar(4, 4, 0), "fan_in must be in [1, 1048576], got 0"),
        (lambda: Plane(Crossbar(4, 1), 1, 1, 1, 2), "columns must be >= 2"),
        (lambda: Plane(Crossbar(4, 4), 0, 1, 1), "n_pre must be >= 1, got 0"),
        (
            lambda: Plane(Crossbar(4, 4), 2, 2, 2).cells(0, [1, 2], 0),
            "pre must be in [0, 2), got 1 to 2",
        ),
    ],
)
def test_what_cannot_be_placed_is_refused(build, told):
    with pytest.raises(InputError) as error:
        build()
    assert told in str(error.value)
