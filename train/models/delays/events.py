"""The network tested spike by spike: jitter and dead time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Int, Num, PRNGKeyArray

from denram.config import convert
from denram.mapping import ErrorConfig, HardwareMap
from denram.train._protocol import Chips, Settings
from denram.train.event_line import event_predictions
from denram.train.models.delays.build import MAP
from denram.train.models.delays.network import DelayNetwork


@dataclass(frozen=True, eq=False)
class EventScorer:
    """The network spike by spike, each with its own jitter, elements with dead time.

    Attributes:
        model: weights and neurons.
        chip: delays before rounding.
        errors: which of the effects there are.
    """

    model: DelayNetwork
    chip: HardwareMap
    errors: ErrorConfig

    def __call__(
        self,
        params: dict[str, Array],
        x: Num[np.ndarray, "time batch pre"],
        *,
        key: PRNGKeyArray,
        noise_std: float,
        read: int,
        samples: Int[np.ndarray, " batch"],
    ) -> Float[np.ndarray, "batch class_"]:
        """Logits of some samples under one noise draw.

        Args:
            params: what was learnt.
            x: spikes.
            key: of the draw of weight noise and errors.
            noise_std: level of the weight noise.
            read: number of the draw, for the jitter.
            samples: numbers of the samples, for the jitter.
        """
        weights, bias = self.model.devices_read(params, key=key, noise_std=noise_std)
        return event_predictions(
            np.asarray(weights),
            np.asarray(bias),
            self.chip.delay_s,
            x,
            timestep_s=self.chip.timestep_s,
            max_delay=self.chip.max_delay,
            decay=np.asarray(self.model.membranes(key=key).alpha),
            n_steps=self.model.transform.n_steps,
            jitter_sigma=self.errors.delay_read_noise,
            dead_time=self.errors.dead_time,
            seed=self.chip.seed,
            read=read,
            samples=samples,
        )


def event_scorer(
    model: DelayNetwork, config: Settings, chips: Chips
) -> EventScorer | None:
    """What tests the network where convolution cannot: jitter and dead time.

    None where neither is asked for.
    """
    del config
    chip = chips[MAP]
    errors = convert(ErrorConfig, chip.errors)
    if not (errors.delay_read_noise or errors.dead_time):
        return None
    return EventScorer(model, chip, errors)
