"""What the trainer asks of a model, and a run of a family."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.config import Section
from denram.mapping import ErrorConfig, HardwareMap, MapConfig

# named arrays, or records of arrays, that training moves
Params = dict[str, Any]
# arrays of delay devices of one chip, by name; none where nothing is delayed
Chips = Mapping[str, HardwareMap]
# name to dimensions and values, ready for a labelled store
Stored = dict[str, tuple[tuple[str, ...], Any]]


class Outcome(NamedTuple):
    """What a training pass gives besides its loss.

    Attributes:
        scores: (batch, [time,] class_).
        moved: parameters that the pass itself moves, such as running statistics; they
            replace their namesakes after the update.
    """

    scores: Array
    moved: Params


@runtime_checkable
class Model(Protocol):
    """A network of fixed structure; what is learnt is passed in as `params`."""

    def n_trained(self, params: Params) -> int:
        """How many numbers training moves."""
        ...

    def stored(self, params: Params) -> Stored:
        """What a run keeps of a trained network: devices before noise, neurons."""
        ...

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        ...

    @property
    def draws_at_once(self) -> int:
        """Noise draws that one program evaluates side by side; bounds its memory."""
        ...

    def ideal(self) -> "Model":
        """The same network on devices without errors."""
        ...

    def encode(
        self,
        x: Num[Array, "time batch pre"],
        valid: Bool[Array, " batch"] | None = None,
    ) -> Any:
        """The part of the forward pass that no parameter enters.

        It is computed once and shared by all noise draws of an evaluation, and by all
        networks that see the same batch.

        Args:
            x: decoded samples.
            valid: False for padding; None where all are valid.
        """
        ...

    def apply(
        self, params: Params, encoded: Any, *, key: PRNGKeyArray, noise_std: Any
    ) -> Float[Array, "batch *time class_"]:
        """Scores per class under one draw of the hardware noise, as at test."""
        ...

    def objective(
        self,
        params: Params,
        encoded: Any,
        labels: Int[Array, "batch ..."],
        valid: Bool[Array, " batch"],
        *,
        key: PRNGKeyArray,
        noise_std: Any,
    ) -> tuple[Float[Array, ""], Outcome]:
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


class Settings(Protocol):
    """What a family reads of a run's configuration."""

    @property
    def network(self) -> Any:
        """The family's own `NetworkConfig`."""
        ...

    @property
    def map(self) -> MapConfig:
        """Inputs, outputs, clock and devices."""
        ...

    @property
    def errors(self) -> ErrorConfig:
        """Device errors."""
        ...

    @property
    def noise(self) -> Any:
        """Weight noise and constraints, a `NoiseConfig`."""
        ...

    @property
    def fit(self) -> Any:
        """Training, a `FitConfig`."""
        ...

    @property
    def seed(self) -> int:
        """The run's seed."""
        ...

    @property
    def chip_seed(self) -> int | None:
        """The devices' own seed, if they have one."""
        ...


class Family(Protocol):
    """A published system: a module of `denram.train.models` with these names."""

    @property
    def NetworkConfig(self) -> type[Section]:
        """The family's own section of settings."""
        ...

    @property
    def CARD_KEYS_LEFT(self) -> frozenset[str]:
        """Settings of a device card that do not decide this family's."""
        ...

    @property
    def NEXT(self) -> str:
        """A command worth trying after a run."""
        ...

    def described(self, config: Settings) -> str:
        """The network in a few words."""
        ...

    def slug(self, config: Settings) -> str:
        """The network's size, for a folder's name."""
        ...

    def results(
        self, config: Settings, accuracy: Mapping[str, float]
    ) -> dict[str, str]:
        """A row of the published results table, by its columns."""
        ...

    def arrays(self, config: Settings) -> dict[str, MapConfig]:
        """The arrays of delay devices that a chip must have, by name."""
        ...

    def network(
        self, config: Settings, chips: Chips, data: Any, *, members: int
    ) -> Model:
        """Put the network on a chip.

        Args:
            config: the run's settings.
            chips: one map for each of `arrays`.
            data: the training set, a `SpikeSet`.
            members: networks trained in one program.

        Raises:
            InputError: settings, chip and data do not fit one another.
        """
        ...

    def initial_params(self, model: Any, config: Settings, chips: Chips) -> Params:
        """Parameters before training, from the run's seed."""
        ...

    def memory_bytes(self, config: Settings, *, n_steps: int, members: int) -> int:
        """Largest memory of a training step, estimated, bytes."""
        ...

    def step_multiplications(self, config: Settings, *, n_steps: int) -> int:
        """Multiply-adds of one training step, from which its time is estimated."""
        ...

    def check(self, config: Settings, *, n_classes: int, per_step: bool) -> None:
        """Refuse settings that cannot be a network, before data are loaded.

        Args:
            config: the run's settings.
            n_classes: of the data.
            per_step: whether the data have targets at single steps.

        Raises:
            InputError: the first rule that is broken.
        """
        ...

    def event_scorer(
        self, model: Any, config: Settings, chips: Chips
    ) -> EventScorer | None:
        """What tests the network where its own forward pass cannot; mostly None."""
        ...

    def alike(self, network: Any) -> Any:
        """The settings with all that leaves a program's structure as it is removed."""
        ...
