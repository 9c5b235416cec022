import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from denram.analysis import array_figure as module
from denram.analysis.array_figure import array_figure
from denram.mapping import MapConfig, build_map
from denram.mapping.array_data import array_dataset
from denram.mapping.handover import SafeRange, hand_over
from denram.mapping.placement import Crossbar


def data_of(crossbar, **options):
    settings = MapConfig(n_in=5, n_out=3, n_delays=2)
    chip = build_map(settings, seed=1, noise_std=0.1)
    mask = chip.mask.copy()
    mask[0, 1, 0] = False
    return array_dataset(hand_over(replace(chip, mask=mask), crossbar, **options))


def images(figure):
    return [axes for axes in figure.axes if axes.images]


def test_the_pictures_are_the_targets_and_the_shares():
    data = data_of(Crossbar(4, 4, 3))
    figure = array_figure(data)
    targets, used = images(figure)
    array: Any = targets.images[0].get_array()
    shown = np.ma.filled(array, np.nan)
    assert np.allclose(shown * 1e9, data["delay_ohm"], equal_nan=True)
    assert np.isnan(shown[1, 0])  # the absent device
    assert np.isnan(shown[3]).all()  # beyond the fan-in
    # 5 inputs on 3 rows, 6 synapses on 4 columns, one absent; 16 cells
    texts = [text.get_text() for text in used.texts]
    assert texts == ["69 %", "38 %", "50 %", "25 %"]
    assert used.get_title(loc="left") == "4 arrays, 45.3 % of the cells used"
    title = figure.get_suptitle()
    assert "5 inputs" in title
    assert "fan-in 3" in title


@pytest.mark.parametrize("crossbar", [Crossbar(1, 1), Crossbar(4000, 4000)])
def test_the_smallest_and_a_huge_array_are_drawn(crossbar):
    safe = SafeRange(1e11, 1e11, clip=True)  # one value: no span of colours
    figure = array_figure(data_of(crossbar, safe=safe))
    figure.canvas.draw()
    assert "29 targets clipped" in figure.get_suptitle()
    first = images(figure)[0].get_title(loc="left")
    assert ("first 1024 rows" in first) == (crossbar.rows > 1024)


def test_the_figure_knows_no_chip_and_no_training():
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    sources = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    ours = {name for name in sources if name and name.startswith("denram")}
    assert ours == {"denram.analysis.figures"}
