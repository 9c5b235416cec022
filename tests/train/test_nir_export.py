import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import nir
import numpy as np
import pytest
from commands import call, refused
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from oracles import delayed_currents_loop
from tiny import config

from denram.cli.nir import nir_export
from denram.errors import InputError
from denram.mapping import build_map, save_map
from denram.train import prepare, run
from denram.train.nir_export import (
    DelayedSynapses,
    network_from_nir,
    nir_graph,
    read_nir,
    trained_synapses,
    write_nir,
)


def network(seed=0, *, shape=(4, 6, 3), max_delay=9, bias=True, sparse=0.2):
    random = np.random.default_rng(seed)
    weights = random.normal(size=shape) * (random.random(shape) >= sparse)
    weights[0, 0, 0] = 0.3
    own = random.normal(size=shape[0]) * 0.1 if bias else np.zeros(shape[0])
    return DelayedSynapses(
        weights=weights.astype(np.float32),
        bias=own.astype(np.float32),
        delay_steps=random.integers(0, max_delay + 1, shape).astype(np.int32),
        timestep_s=0.005,
        tau_mem_s=0.02,
        n_steps=12,
    )


def spikes(seed, made, batch=5):
    random = np.random.default_rng(seed)
    shape = (made.n_steps, batch, made.weights.shape[1])
    return (random.random(shape) < 0.3).astype(np.uint8)


def by_hand(made, x):
    """The module's formulas, one step after another in float64."""
    alpha = np.exp(-made.timestep_s / made.tau_mem_s)
    n_steps = made.n_steps + int(made.delay_steps.max())
    current = delayed_currents_loop(x, made.weights, made.delay_steps, n_steps)
    current[: made.n_steps] += made.bias
    v, best = np.zeros(current.shape[1:]), np.zeros(current.shape[1:])
    for now in current:
        v = np.maximum(0.0, alpha * v + now)
        best = np.maximum(best, v)
    return best


def interpreted(graph, x):
    """Run a NIR graph as any reader of NIR would: node after node, step after step.

    Knows NIR's own equations, and of the convention only what its metadata say.
    """
    meta, nodes = graph.metadata, graph.nodes
    dt, run_steps = float(meta["dt"]), int(meta["run_steps"])
    follows = dict(graph.edges)
    (now,) = (name for name, node in nodes.items() if isinstance(node, nir.Input))
    signal = np.zeros((run_steps, x.shape[1], int(nodes[now].input_type["input"][0])))
    signal[: x.shape[0], :, : x.shape[2]] = x
    if int(meta["bias_line"]) >= 0:
        signal[: int(meta["n_steps"]), :, int(meta["bias_line"])] = 1.0
    while now in follows:
        now = follows[now]
        node = nodes[now]
        if isinstance(node, nir.Linear):
            signal = signal @ np.asarray(node.weight, np.float64).T
        elif isinstance(node, nir.Delay):
            delayed = np.zeros_like(signal)
            for i, tau in enumerate(node.delay):
                d = round(float(tau) / dt)
                delayed[d:, :, i] = signal[: run_steps - d, :, i]
            signal = delayed
        elif isinstance(node, nir.LI):
            a, v, trace = np.exp(-dt / node.tau), np.asarray(node.v_leak), []
            for i in signal:  # tau v' = (v_leak - v) + r i, i held over a step
                v = node.v_leak + (v - node.v_leak) * a + (1 - a) * node.r * i
                v = np.maximum(float(meta["membrane_floor"]), v)
                trace.append(v)
            signal = np.stack(trace)
        else:
            assert isinstance(node, nir.Output)
    return signal.max(axis=0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_graph_the_network_and_its_copy_say_the_same(tmp_path, seed, bias):
    made = network(seed, bias=bias)
    x = spikes(seed, made)
    expected = by_hand(made, x)
    assert (expected > 0).mean() > 0.5
    write_nir(made, tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    assert np.allclose(interpreted(graph, x), expected, rtol=1e-6, atol=1e-6)
    copy = read_nir(tmp_path / "net.nir")
    for one in (made, copy):
        assert np.allclose(one.logits(x), expected, rtol=5e-5, atol=1e-5)
    assert np.allclose(by_hand(copy, x), expected, rtol=1e-6, atol=1e-6)
    for name in ("timestep_s", "tau_mem_s", "n_steps"):
        assert getattr(copy, name) == getattr(made, name)


@budget(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 5)] * 3),
    st.integers(0, 6),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_network_survives(shape, max_delay, bias, seed):
    made = network(seed, shape=shape, max_delay=max_delay, bias=bias)
    x = spikes(seed, made, batch=2)
    graph = nir_graph(made)
    copy = network_from_nir(graph)
    expected = by_hand(made, x)
    assert np.allclose(by_hand(copy, x), expected, rtol=1e-5, atol=1e-5)
    assert np.allclose(interpreted(graph, x), expected, rtol=1e-5, atol=1e-5)
    # one channel per distinct (input, delay) that carries a weight, and the bias
    pairs = {
        (c, int(made.delay_steps[o, c, k]))
        for o, c, k in np.ndindex(*shape)
        if made.weights[o, c, k] != 0
    }
    assert graph.nodes["delay"].delay.size == len(pairs) + bool(made.bias.any())
    # a copy of the copy is the copy
    again = network_from_nir(nir_graph(copy))
    assert np.array_equal(again.weights, copy.weights)
    assert np.array_equal(again.delay_steps, copy.delay_steps)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trained run with saturated, duplicate and absent synapses."""
    folder = tmp_path_factory.mktemp("nir") / "run"
    settings = config(
        nb_epochs=1, n_train=60, r_std=1.0, max_delay_is_one_less=True, noise_std=0.0
    )
    chip = build_map(settings.map, seed=5, noise_std=0.1)
    mask = chip.mask.copy()
    mask[:, 3, 0] = False
    chip = replace(chip, mask=mask)
    run(settings, folder, chip=chip)
    return folder, settings, chip


def test_a_trained_run_says_the_same_as_its_model(finished, tmp_path, monkeypatch):
    folder, settings, chip = finished
    monkeypatch.chdir(tmp_path)
    code, out, err = call(nir_export, str(folder), "--out", "net.nir")
    assert (code, err) == (0, "")
    assert "channels" in out
    copy, made = read_nir("net.nir"), trained_synapses(folder)
    model = prepare(settings, chip=chip).model
    x = jnp.asarray(spikes(4, made, batch=settings.fit.batch_size))
    params = {"weights": jnp.asarray(made.weights), "bias": jnp.asarray(made.bias)}
    expected = model.apply(
        params, model.encode(x), key=jax.random.key(0), noise_std=0.0
    )
    assert np.allclose(copy.logits(x), expected, rtol=5e-4, atol=1e-5)
    graph = nir.read("net.nir")
    assert np.allclose(
        interpreted(graph, np.asarray(x)), expected, rtol=5e-4, atol=1e-5
    )
    assert (made.weights[:, 3, 0] == 0).all()
    assert made.max_delay == chip.delay_steps.max() - 1


def test_what_is_no_graph_of_ours_is_refused(finished, tmp_path, monkeypatch):
    folder, _, _ = finished
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(InputError, match="cannot be read as NIR"):
        read_nir("text.nir")
    other = nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3), np.float32)))
    nir.write("other.nir", other)
    with pytest.raises(InputError, match="must be of the convention"):
        read_nir("other.nir")
    graph = nir_graph(network())
    graph.nodes["fan_out"].weight[0, :2] = 1.0
    with pytest.raises(InputError, match="one 1 in each row"):
        network_from_nir(graph)
    empty = replace(network(bias=False), weights=np.zeros((4, 6, 3), np.float32))
    with pytest.raises(InputError, match="weights must have one that is not 0"):
        nir_graph(empty)
    assert "finished run" in refused(nir_export, "nothing", "--out", "net.nir")
    assert "--out must be given" in refused(nir_export, str(folder))
    (tmp_path / "there.nir").write_text("")
    line = refused(nir_export, str(folder), "--out", "there.nir")
    assert "--out must not exist yet" in line


def test_a_run_whose_map_was_changed_is_refused(finished, tmp_path):
    folder, _, chip = finished
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "run.zarr").symlink_to(folder / "run.zarr")
    steps = np.roll(chip.delay_steps, 1)
    save_map(replace(chip, delay_steps=steps), copy / "map.zarr")
    with pytest.raises(InputError, match="must be the map of its run"):
        trained_synapses(copy)
    assert json.loads((folder / "run.zarr" / "zarr.json").read_text())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bias": np.zeros(3, np.float32)}, "weights and delay_steps must be"),
        ({"timestep_s": 0.0}, "timestep_s must be > 0"),
        ({"delay_steps": np.full((4, 6, 3), -1, np.int32)}, "delay_steps must be >= 0"),
        ({"weights": np.full((4, 6, 3), np.nan, np.float32)}, "weights must be finite"),
    ],
)
def test_records_that_break_a_rule_are_refused(change, told):
    with pytest.raises(InputError, match=told):
        replace(network(), **change)
