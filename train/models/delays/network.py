"""The network: delays of the chip, learnt weights, leaky integrators."""

from dataclasses import replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.config import Positive, Section
from denram.train import delay_line
from denram.train._protocol import Outcome, Stored
from denram.train.losses import cross_entropy
from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.noise import largest, noisy
from denram.train.readout import max_over_time
from denram.train.tau_errors import TauErrors
from denram.train.weight_chain import WeightChain

_DRAWS_AT_ONCE = 20  # more share the encoded input in turns, so memory stays bounded
CARD_KEYS_LEFT: frozenset[str] = frozenset()  # a card decides all it says
_TAU = 1  # of the key that membranes are drawn from


class NetworkConfig(Section, frozen=True):
    """DenRAM's network.

    Attributes:
        tau_mem: membrane time constant, s (paper: 20 ms for 700 inputs, 15 for 256).
        w_scale: initial weights are |N(0, 1)| w_scale / sqrt(n_in).
        pos_w: take the absolute value of the initial weights (not of the bias).
        max_delay_is_one_less: a delay of the buffer's whole length acts as one step
            less (published off-by-one: 200 behaves as 199).
        log_of_softmax: the published loss, log of softmax instead of log-softmax.
        init_sampler: `counter`, or `jax-legacy` for the published initial weights.
    """

    tau_mem: Positive = 20e-3
    w_scale: Positive = 0.3
    pos_w: bool = True
    max_delay_is_one_less: bool = False
    log_of_softmax: bool = False
    init_sampler: Literal["counter", "jax-legacy"] = "counter"


class Jitter(eqx.Module):
    """Delays that vary from spike to spike, in the mean over spikes.

    Attributes:
        steps: every step that a synapse's delay may round to.
        shares: probability of each.
    """

    steps: Int[Array, "post pre more_taps"]
    shares: Float[Array, "post pre tap step"]

    def spread(
        self, weights: Float[Array, "post pre tap"]
    ) -> Float[Array, "post pre more_taps"]:
        """Weights shared out over the steps."""
        return (weights[..., None] * self.shares).reshape(self.steps.shape)


class DelayNetwork(eqx.Module):
    """The network on one chip. Build it with `build`."""

    delay_steps: Int[Array, "post pre tap"]
    present: Bool[Array, "post pre tap"]
    live: Bool[Array, "post pre tap"]
    neuron: LeakyIntegrator
    weight_chain: WeightChain
    bias_chain: WeightChain
    tau_errors: TauErrors | None
    jitter: Jitter | None
    transform: delay_line.Transform = eqx.field(static=True)
    w_scale: float = eqx.field(static=True)
    pos_w: bool = eqx.field(static=True)
    range_over_all: bool = eqx.field(static=True)
    log_of_softmax: bool = eqx.field(static=True)

    def init(self, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Half-normal weights (post, pre, tap) and normal bias (post,)."""
        key_weights, key_bias = jax.random.split(key)
        shape = self.delay_steps.shape
        return self.scaled(
            jax.random.normal(key_weights, shape),
            jax.random.normal(key_bias, shape[:1]),
        )

    def scaled(
        self, weights: Float[Array, "post pre tap"], bias: Float[Array, " post"]
    ) -> dict[str, Array]:
        """Initial parameters from standard normal numbers."""
        scale = self.w_scale / np.sqrt(self.delay_steps.shape[1])
        weights = jnp.abs(weights) if self.pos_w else weights
        return {"weights": weights * scale, "bias": bias * scale}

    def n_trained(self, params: dict[str, Array]) -> int:
        """Weights and biases."""
        return sum(leaf.size for leaf in params.values())

    def stored(self, params: dict[str, Array]) -> Stored:
        """What the devices hold before noise."""
        weights, bias = self.devices_read(params, key=jax.random.key(0), noise_std=0.0)
        return {
            "weights": (("post", "pre", "tap"), weights),
            "bias": (("post",), bias),
        }

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        return self._programmed_anew or (
            self.tau_errors is not None and self.tau_errors.random
        )

    @property
    def _programmed_anew(self) -> bool:
        return self.weight_chain.random or self.bias_chain.random

    @property
    def draws_at_once(self) -> int:
        """Noise draws that one program evaluates side by side."""
        return _DRAWS_AT_ONCE

    def ideal(self) -> "DelayNetwork":
        """The same network on weight devices and membranes without errors."""
        return replace(
            self,
            weight_chain=self.weight_chain.ideal(),
            bias_chain=self.bias_chain.ideal(),
            tau_errors=None,
        )

    def encode(
        self,
        x: Num[Array, "time batch pre"],
        valid: Bool[Array, " batch"] | None = None,
    ) -> Float[Array, "..."]:
        """The input's spectrum, which no weight enters."""
        del valid
        return delay_line.input_spectrum(x, self.transform)

    def apply(
        self,
        params: dict[str, Array],
        encoded: Float[Array, "..."],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> Float[Array, "batch class_"]:
        """Logits of one batch under one noise draw; the key is consumed."""
        weights, bias = self.devices_read(params, key=key, noise_std=noise_std)
        current = self.current(weights, bias, encoded)
        return max_over_time(unroll(self.membranes(key=key), current))

    def membranes(self, *, key: PRNGKeyArray) -> LeakyIntegrator:
        """The neurons as their circuits are, in the draw of this key."""
        if self.tau_errors is None:
            return self.neuron
        n, key = self.delay_steps.shape[0], jax.random.fold_in(key, _TAU)
        alpha = self.tau_errors.realised(self.neuron.alpha, n, key=key)
        return replace(self.neuron, alpha=alpha)

    def objective(
        self,
        params: dict[str, Array],
        encoded: Float[Array, "..."],
        labels: Int[Array, " batch"],
        valid: Bool[Array, " batch"],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[Float[Array, ""], Outcome]:
        """Loss and logits of one batch under one noise draw."""
        logits = self.apply(params, encoded, key=key, noise_std=noise_std)
        return self.loss(logits, labels, valid), Outcome(logits, {})

    def current(
        self,
        weights: Float[Array, "post pre tap"],
        bias: Float[Array, " post"],
        encoded: Float[Array, "..."],
    ) -> Float[Array, "time batch post"]:
        """Currents until the last delayed spike has passed; bias during the input."""
        n_steps, steps = self.transform.n_steps, self.delay_steps
        if self.jitter is not None:
            weights, steps = self.jitter.spread(weights), self.jitter.steps
        current = delay_line.currents(
            encoded,
            weights,
            steps,
            self.transform,
            n_steps + self.transform.max_delay,
        )
        return current.at[:n_steps].add(bias)

    def devices_read(
        self,
        params: dict[str, Array],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[Float[Array, "post pre tap"], Float[Array, " post"]]:
        """Weights and bias as the devices give them in one read."""
        devices = self.weight_chain.devices
        weights = devices.effective(params["weights"])
        weights = jnp.where(self.present, weights, 0.0)
        bias = devices.effective(params["bias"])
        if self.range_over_all:
            range_ = jnp.maximum(largest(weights), largest(bias))
        else:
            range_ = largest(weights, self.live)
        anew = self._programmed_anew
        key, key_programmed = jax.random.split(key) if anew else (key, key)
        key_weights, key_bias = jax.random.split(key_programmed)
        weights = self.weight_chain.programmed(weights, range_, key=key_weights)
        bias = self.bias_chain.programmed(bias, range_, key=key_bias)
        weights = jnp.where(self.present, weights, 0.0)
        key_weights, key_bias = jax.random.split(key)
        return (
            noisy(weights, range_, noise_std, key=key_weights),
            noisy(bias, range_, noise_std, key=key_bias),
        )

    def loss(
        self,
        logits: Float[Array, "batch class_"],
        labels: Int[Array, " batch"],
        valid: Bool[Array, " batch"],
    ) -> Float[Array, ""]:
        """Cross entropy of the maximum membrane values."""
        return cross_entropy(logits, labels, valid, log_of_softmax=self.log_of_softmax)
