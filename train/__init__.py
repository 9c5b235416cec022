"""Learning on a chip: data, models, one trainer, and runs that can be resumed."""

from denram.train._memory import reuse_memory as reuse_memory
from denram.train.delay_line import delayed_currents as delayed_currents
from denram.train.models import FAMILIES as FAMILIES
from denram.train.prepare import prepare as prepare
from denram.train.run import Watch as Watch
from denram.train.run import run as run
from denram.train.run import run_together as run_together
from denram.train.run_config import RunConfig as RunConfig
from denram.train.run_config import resolve as resolve
from denram.train.run_store import open_run as open_run
from denram.train.scoring import predict_test as predict_test
from denram.train.scoring import score_test as score_test
from denram.train.task import FitConfig as FitConfig
from denram.train.trainer import run_epoch as run_epoch
from denram.train.trainer import run_epoch_together as run_epoch_together
from denram.train.trainer import start as start
