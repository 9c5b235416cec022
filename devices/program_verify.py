"""Program-and-verify: pulse, read, and pulse again until the resistance is accepted.

low_ohm, high_ohm = relative_band(target_ohm, 0.05)
outcome = ProgramVerify(LognormalProgramming(0.1), pulses=20).program(
    target_ohm, low_ohm, high_ohm, seed=1, stream=Stream("delay programming")
)
outcome.failures()  # addresses that the budget did not suffice for
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.devices import _verify_kernels
from denram.devices._checks import (
    FloatArray,
    numbers,
    positive_array,
    spread,
    whole,
)
from denram.devices.draws import Stream, checked_shape, stream_key
from denram.devices.programming import ProgrammingLaw
from denram.errors import InputError
from denram.storage import require_memory

MAX_PULSES = 100_000
_CHUNK = 1 << 18  # devices worked on at a time: what one pulse needs stays in cache
_BYTES_PER_DEVICE = 64


@dataclass(frozen=True)
class ProgramOutcome:
    """What program-and-verify made of each device; arrays (post, pre, tap).

    Attributes:
        resistance_ohm: after the last pulse.
        pulses: int32, pulses spent.
        accepted: whether the last verification found the resistance in its band.
    """

    resistance_ohm: FloatArray
    pulses: NDArray[np.int32]
    accepted: NDArray[np.bool_]

    def failures(self) -> NDArray[np.int64]:
        """Addresses (post, pre, tap) of the devices not accepted, shape (n, 3)."""
        return np.argwhere(~self.accepted).astype(np.int64, copy=False)


@dataclass(frozen=True)
class ProgramVerify:
    """Pulses until the resistance lies in its band, at most `pulses` of them.

    A pulse aims at `ln aim = ln R + correction * (ln target - ln R)`, R being what the
    pulse before it left, and `law` says what comes of an aim. With `correction = 1`
    every pulse is thus a fresh draw about the target, and a device whose draws fall in
    the band with probability p is accepted within n pulses with `1 - (1 - p)**n`; with
    less, the error of one pulse is carried into the next: `e' = (1 - correction) e +
    noise`, e being ln(R / target).

    Attributes:
        law: what one pulse does.
        pulses: budget of each device, 1 to 100000.
        correction: share of the remaining ln-error that a pulse corrects, > 0 to 1.

    Raises:
        InputError: a parameter out of range, as a budget of 0.
    """

    law: ProgrammingLaw
    pulses: int
    correction: float = 1.0

    def __post_init__(self) -> None:
        whole("pulses", self.pulses, 1, MAX_PULSES)
        if not 0 < spread("correction", self.correction, 1.0):
            raise InputError(f"correction must be > 0, got {self.correction}")

    def program(
        self,
        target_ohm: ArrayLike,
        low_ohm: ArrayLike,
        high_ohm: ArrayLike,
        *,
        seed: int,
        stream: Stream,
        start_ohm: ArrayLike | None = None,
        stuck: ArrayLike | None = None,
    ) -> ProgramOutcome:
        """Program every device, each decided by its own address and pulses alone.

        Args:
            target_ohm: (post, pre, tap), each finite and > 0.
            low_ohm: least accepted resistance, broadcast to the targets' shape.
            high_ohm: largest accepted resistance, at least `low_ohm`; may be infinite.
            seed: 0 to 2**32 - 1.
            stream: role and chip; pulse number i, from 0, draws in cycle `cycle + i`.
            start_ohm: resistances before the first pulse, each finite and > 0; without
                them the first pulse aims at the target, whatever `correction` is.
            stuck: true where no pulse moves a device from `start_ohm`. It spends its
                budget like any other, unless it is stuck within its band.

        Raises:
            InputError: an array of another shape or out of range, stuck devices
                without `start_ohm`, a clock out of range, or too many devices for the
                memory.
        """
        target = positive_array("target_ohm", target_ohm)
        shape = checked_shape(target.shape)
        require_memory(
            _BYTES_PER_DEVICE * target.size, f"programming {target.size} devices"
        )
        if stuck is not None and start_ohm is None:
            raise InputError("start_ohm must be given where devices may be stuck")
        start = target if start_ohm is None else positive_array("start_ohm", start_ohm)
        job = _Job(
            target.reshape(-1),
            _band(low_ohm, high_ohm, shape),
            None if stuck is None else _flat("stuck", _mask(stuck), shape),
            ProgramOutcome(
                _flat("start_ohm", start, shape).copy(),
                np.zeros(target.size, np.int32),
                np.zeros(target.size, np.bool_),
            ),
            [
                stream_key(seed, stream._replace(cycle=stream.cycle + i))
                for i in range(self.pulses)
            ],
            shape[1:],
        )
        for first in range(0, target.size, _CHUNK):
            self._program(job, np.arange(first, min(first + _CHUNK, target.size)))
        done = job.outcome
        return ProgramOutcome(
            done.resistance_ohm.reshape(shape),
            done.pulses.reshape(shape),
            done.accepted.reshape(shape),
        )

    def _program(self, job: "_Job", index: NDArray[np.int64]) -> None:
        """Give the devices of `index` pulse after pulse."""
        r = job.outcome.resistance_ohm
        state = (r, job.outcome.pulses, job.outcome.accepted)
        for key in job.keys:
            z = np.empty(index.size)
            _verify_kernels.draw_at(z, index, key, job.sizes)
            obtained = self._pulse(job.target[index], r[index], z)
            if job.stuck is not None:
                obtained = np.where(job.stuck[index], r[index], obtained)
            left = _verify_kernels.settle(index, obtained, job.band, state)
            if not left:
                return
            index = index[:left]

    def _pulse(self, target: FloatArray, r: FloatArray, z: FloatArray) -> FloatArray:
        aim = target
        if self.correction < 1:
            aim = target * (r / target) ** (1.0 - self.correction)
        return self.law.apply(aim, z)


@dataclass(frozen=True)
class _Job:
    """One programming of all devices; the arrays are flat, (post, pre, tap)."""

    target: FloatArray
    band: tuple[FloatArray, FloatArray]
    stuck: NDArray[np.bool_] | None
    outcome: ProgramOutcome
    keys: list[tuple[np.uint32, np.uint32]]
    sizes: tuple[int, int]


def _band(low: Any, high: Any, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    ends = (
        _flat("low_ohm", numbers("low_ohm", low), shape),
        _flat("high_ohm", numbers("high_ohm", high), shape),
    )
    crossed = ends[0] > ends[1]
    if crossed.any():
        raise InputError(
            f"low_ohm must be <= high_ohm, got {ends[0][crossed][0]}"
            f" and {ends[1][crossed][0]}"
        )
    return ends


def _flat(name: str, values: Any, shape: tuple[int, ...]) -> Any:
    try:
        return np.broadcast_to(values, shape).reshape(-1)
    except ValueError:
        raise InputError(
            f"{name} must broadcast to {shape}, got {values.shape}"
        ) from None


def _mask(stuck: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(stuck)
    if mask.dtype != np.bool_:
        raise InputError(f"stuck must be true or false, got {mask.dtype}")
    return mask
