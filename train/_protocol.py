"""What the trainer asks of a model. A family is any record that answers to this."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray, PyTree

Params = PyTree[Array]


@runtime_checkable
class Model(Protocol):
    """A network of fixed structure; what is learnt is passed in as `params`."""

    def init(self, *, key: PRNGKeyArray) -> Params:
        """Draw the parameters that training starts from."""
        ...

    def stored(self, params: Params) -> dict[str, Array]:
        """What the devices hold before noise, by name, for the run's store."""
        ...

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        ...

    def ideal(self) -> "Model":
        """The same network on weight devices without errors."""
        ...

    def encode(self, x: Num[Array, "time batch pre"]) -> Any:
        """The part of the forward pass that no parameter enters.

        It is computed once and shared by all noise draws of an evaluation, and by all
        networks that see the same batch.
        """
        ...

    def apply(
        self, params: Params, encoded: Any, *, key: PRNGKeyArray, noise_std: Any
    ) -> Float[Array, "batch class_"]:
        """Scores per class under one draw of the hardware noise."""
        ...

    def loss(
        self,
        logits: Float[Array, "batch class_"],
        labels: Int[Array, " batch"],
        valid: Bool[Array, " batch"],
    ) -> Float[Array, ""]:
        """The number that training lowers; samples that are not valid do not count."""
        ...


class EventScorer(Protocol):
    """A forward pass spike by spike, on the host, for effects of single spikes."""

    def __call__(
        self,
        params: Params,
        x: Num[np.ndarray, "time batch pre"],
        *,
        key: PRNGKeyArray,
        noise_std: float,
        read: int,
        samples: Int[np.ndarray, " batch"],
    ) -> Float[np.ndarray, "batch class_"]:
        """Logits of some samples under one draw; `read` numbers the draw."""
        ...
