"""Layers one after the other, a decoder, a loss: a network that the trainer knows.

Parameters: {"layers": a record per layer, "statistics": a record per layer}; the
statistics are moved by training passes, not by gradients.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.train._protocol import Outcome, Stored
from denram.train.layers import Layer, Trace
from denram.train.losses import cross_entropy
from denram.train.readout import DECODERS
from denram.train.regularisers import dropout
from denram.train.synapses import CausalConvolution, Delayed, feedback_weights

Learnt = dict[str, Any]
# what is added to the loss, from the layers' parameters, what they gave out, and who
# is valid
Penalty = Callable[
    [Sequence[Learnt], Sequence[Trace], Bool[Array, " batch"]], Float[Array, ""]
]
_READ = 1e9  # bytes of currents that noise draws side by side may hold
_MOST_DRAWS = 20


class LayeredNetwork(eqx.Module):
    """Hidden layers and a readout layer; build it with a family.

    Attributes:
        layers: from the input; the last one is read out.
        penalty: see `Penalty`; equal where its settings are.
        decoder: a key of `DECODERS`.
        dropout_rate: of what each hidden layer gives out, in training.
        train_alpha: whether hidden decays are learnt; the readout's never is.
        log_of_softmax: the published loss, ln(softmax + 1e-12).
        timestep_s: real length of one step, s, for time constants that are stored.
        draws_at_once: noise draws that one program evaluates side by side.
    """

    layers: tuple[Layer, ...]
    penalty: Penalty = eqx.field(static=True)
    decoder: str = eqx.field(static=True)
    dropout_rate: float = eqx.field(static=True)
    train_alpha: bool = eqx.field(static=True)
    log_of_softmax: bool = eqx.field(static=True)
    timestep_s: float = eqx.field(static=True)
    draws_at_once: int = eqx.field(static=True)

    def with_statistics(self, layers: list[Learnt]) -> dict[str, Any]:
        """The layers' parameters, and statistics as they are before training."""
        statistics = [
            layer.norm.init(learnt["alpha"].size)[1]
            for layer, learnt in zip(self.layers, layers, strict=True)
        ]
        return {"layers": layers, "statistics": statistics}

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        return any(layer.random for layer in self.layers)

    def ideal(self) -> "LayeredNetwork":
        """The same network on devices without errors."""
        return replace(self, layers=tuple(layer.ideal() for layer in self.layers))

    def encode(
        self,
        x: Num[Array, "time batch pre"],
        valid: Bool[Array, " batch"] | None = None,
    ) -> tuple[Any, Bool[Array, " batch"] | None]:
        """The first synapses' part that no weight enters, and who is valid."""
        return self.layers[0].synapse.encode(x), valid

    def apply(
        self,
        params: dict[str, Any],
        encoded: Any,
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> Float[Array, "batch *time class_"]:
        """Scores under one draw of the hardware noise, as at test."""
        given, _ = self.traces(
            params, encoded, training=False, key=key, noise_std=noise_std
        )
        return DECODERS[self.decoder](given[-1])

    def objective(
        self,
        params: dict[str, Any],
        encoded: Any,
        labels: Int[Array, "batch ..."],
        valid: Bool[Array, " batch"],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[Float[Array, ""], Outcome]:
        """Cross entropy and penalties of one training pass."""
        given, moved = self.traces(
            params, encoded, training=True, key=key, noise_std=noise_std
        )
        scores = DECODERS[self.decoder](given[-1])
        loss = cross_entropy(
            scores,
            labels,
            valid,
            log_of_softmax=self.log_of_softmax,
            epsilon=1e-12 if self.log_of_softmax else 0.0,
        )
        loss = loss + self.penalty(self._trained(params), given[:-1], valid)
        return loss, Outcome(scores, {"statistics": moved})

    def traces(
        self,
        params: dict[str, Any],
        encoded: Any,
        *,
        training: bool,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[list[Trace], list[dict[str, Array]]]:
        """What each layer gives out, after dropout, and the statistics afterwards."""
        now, valid = encoded
        key_layers, key_dropout = jax.random.split(key)
        keys = jax.random.split(key_layers, len(self.layers))
        keys_dropout = jax.random.split(key_dropout, len(self.layers))
        given, moved = [], []
        for number, (layer, learnt, statistics) in enumerate(
            zip(self.layers, self._trained(params), params["statistics"], strict=True)
        ):
            out, after = layer.run(
                learnt,
                statistics,
                now,
                valid=valid,
                training=training,
                key=keys[number],
                noise_std=noise_std,
            )
            last = number + 1 == len(self.layers)
            if training and not last:
                out = dropout(out, self.dropout_rate, key=keys_dropout[number])
            given.append(out)
            moved.append(jax.lax.stop_gradient(after))
            if not last:
                now = self.layers[number + 1].synapse.encode(out)
        return given, moved

    def _trained(self, params: dict[str, Any]) -> list[Learnt]:
        """The layers' parameters, fixed decays cut off from the gradient."""
        fixed = jax.lax.stop_gradient
        last = len(self.layers) - 1
        return [
            learnt
            if self.train_alpha and number < last
            else {**learnt, "alpha": fixed(learnt["alpha"])}
            for number, learnt in enumerate(params["layers"])
        ]

    def n_trained(self, params: dict[str, Any]) -> int:
        """Numbers that training moves: weights, normalisation, decays if asked."""
        return sum(
            leaf.size
            for number, learnt in enumerate(params["layers"])
            for name, part in learnt.items()
            if name != "alpha" or (self.train_alpha and number + 1 < len(self.layers))
            for leaf in jax.tree.leaves(part)
        )

    def stored(self, params: dict[str, Any]) -> Stored:
        """Weights on their devices before noise, time constants, eigenvalues.

        `time_constant` (hidden_layer, neuron) in s, as it acts: within the range of the
        decay and by the real time step; NaN where a layer has fewer neurons.
        `recurrent_eigenvalue` likewise: moduli, falling, of the recurrent weights that
        act, so without the diagonal.
        """
        found: Stored = {}
        taus, moduli = [], []
        for number, (layer, learnt) in enumerate(
            zip(self.layers, params["layers"], strict=True), start=1
        ):
            w = np.asarray(layer.chain.devices.effective(learnt["weights"]))
            found[f"weights_{number}"] = _dims(layer, number), w
            norm = {**learnt["norm"], **params["statistics"][number - 1]}
            for name, array in norm.items():
                found[f"{name}_{number}"] = (f"post_{number}",), array
            alpha = np.asarray(layer.alpha(learnt), np.float64)
            taus.append(-self.timestep_s / np.log(alpha))
            if layer.feedback is not None:
                held = layer.feedback.devices.effective(learnt["feedback"])
                acts = np.asarray(feedback_weights(held), np.float64)
                dims = f"from_{number}", f"post_{number}"
                found[f"feedback_{number}"] = dims, acts.astype(np.float32)
                moduli.append(np.sort(np.abs(np.linalg.eigvals(acts)))[::-1])
        dims = "hidden_layer", "neuron"
        found["time_constant"] = dims, _padded(taus[:-1])
        if moduli:
            found["recurrent_eigenvalue"] = dims, _padded(moduli)
        return found


def draws_at_once(bytes_per_draw: float) -> int:
    """Noise draws whose currents fit side by side in a bounded memory."""
    return int(max(1, min(_MOST_DRAWS, _READ // max(1.0, bytes_per_draw))))


def _dims(layer: Layer, number: int) -> tuple[str, ...]:
    kind = layer.synapse
    names: tuple[str, ...] = "pre", "post"
    if isinstance(kind, CausalConvolution):
        names = "tap", "pre", "post"
    elif isinstance(kind, Delayed):
        names = "post", "pre", "tap"
    return tuple(f"{name}_{number}" for name in names)


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    found = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
