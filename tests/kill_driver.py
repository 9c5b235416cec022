"""Train the tiny run in argv[1], resuming; print a line at every place worth a kill."""

import os
import sys
from pathlib import Path

from tiny import config

from denram.train import Watch, run

if __name__ == "__main__":
    sync = os.fsync

    def marked_sync(handle):
        print("sync", flush=True)
        sync(handle)

    os.fsync = marked_sync
    watch = Watch(
        on_batch=lambda done, total: print("batch", done, flush=True),
        on_epoch=lambda row: print("epoch", row.epoch, flush=True),
    )
    run(config(), Path(sys.argv[1]), resume=True, watch=watch)
    print("finished", flush=True)
