import numpy as np
import pytest

from denram.analysis.hsnn_grids import SWEEPS
from denram.analysis.hsnn_sizes import (
    dilations,
    kernel_sizes,
    weight_count,
    width_of,
)
from denram.train import hierarchy

# specification, initialisation of two hidden layers
KERNELS = ["7/3", "6/3", "6/4", "5/4", "5/5", "4/5", "4/6", "3/6", "3/7"]
DILATIONS = ["6/3", "6/4", "5/4", "5/5", "4/5", "4/6", "3/6"]


def test_kernels_and_dilations_are_the_published_ones():
    pairs = [kernel_sizes(5, delta, 2) for delta in range(-4, 5)]
    assert ["/".join(map(str, pair)) for pair in pairs] == KERNELS
    pairs = [dilations(5, delta, 2) for delta in range(-3, 4)]
    assert ["/".join(map(str, pair)) for pair in pairs] == DILATIONS


@pytest.mark.parametrize("n_hidden", [2, 3, 4, 6])
def test_kernels_are_the_whole_parts_of_a_ladder(n_hidden):
    for kernel, delta in ((5, 3), (9, -4), (3, 4), (2, -5)):
        ends = int(kernel - delta / 2), int(kernel + delta / 2)
        ladder = np.maximum(1, np.linspace(*ends, n_hidden).astype(int))
        assert kernel_sizes(kernel, delta, n_hidden) == tuple(ladder)


@pytest.mark.parametrize("n_hidden", [2, 3, 4])
@pytest.mark.parametrize("delta", range(-4, 5))
def test_what_a_table_says_of_layers_is_what_the_family_builds(n_hidden, delta):
    taps = hierarchy.kernel_sizes(5, delta, n_hidden)
    assert kernel_sizes(5, delta, n_hidden) == tuple(taps)
    assert dilations(5, delta, n_hidden) == tuple(
        hierarchy.dilations(5, delta, n_hidden)
    )


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        # specification, expected results
        ({"n_layers": 3, "n_hid": 32}, 24_064),
        ({"n_layers": 4, "n_hid": 32}, 25_088),
        ({"n_layers": 5, "n_hid": 32}, 26_112),
        ({"n_layers": 6, "n_hid": 32}, 27_136),
        ({"n_layers": 3}, 108_544),
        ({"n_layers": 4}, 124_928),
        ({"n_layers": 5}, 141_312),
        ({"n_layers": 6}, 157_696),
        ({"convolution": True}, 532_480),
        ({"convolution": True, "hierarchy_conv": "kernel", "delta_ker": 3}, 369_664),
        ({"convolution": True, "hierarchy_conv": "none", "delta_ker": 3}, 532_480),
        ({"dataset": "ssc", "convolution": True, "n_hid": 256}, 1_232_640),
        (
            {
                "dataset": "ssc",
                "convolution": True,
                "n_hid": 256,
                "hierarchy_conv": "both",
                "delta_ker": 3,
            },
            939_776,
        ),
        # by hand: 40 x 10 + 10 x 10 + 10 x 2, and 10 x 10 twice
        ({"dataset": "mts_xor"}, 520),
        ({"dataset": "mts_xor", "recurrent": True}, 720),
    ],
)
def test_weights_are_counted_as_published(settings, weights):
    assert weight_count(settings) == weights


@pytest.mark.parametrize("taps", [(7, 3), (3, 7), (5, 5), (2, 3, 4), (6,)])
def test_the_width_is_the_closest_of_all(taps):
    def size(n):
        return taps[0] * 700 * n + sum(taps[1:]) * n**2 + 20 * n

    found = width_of(532_480, taps, n_in=700, n_out=20)
    assert found == min(range(1, 2000), key=lambda n: abs(size(n) - 532_480))


def test_the_control_of_figure_4b_holds_the_number_of_weights():
    (axis,) = SWEEPS["hsnn_fig_4b_iso"].axes
    sizes = {}
    for i, delta in enumerate(axis.labels):
        first, last = map(int, KERNELS[i].split("/"))
        n = axis.at(i)["n_hid"]
        sizes[delta] = first * 700 * n + last * n**2 + 20 * n
    assert sizes[0] == 532_480
    assert all(abs(size / 532_480 - 1) < 0.01 for size in sizes.values())
    told = SWEEPS["hsnn_fig_4b_iso"].plot.ticks
    for i, (delta, size) in enumerate(sizes.items()):
        expected = [KERNELS[i], f"{axis.at(i)['n_hid']}", f"{size / 1e3:.0f}k"]
        assert told[delta].split("\n") == expected
