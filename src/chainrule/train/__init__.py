"""What a training loop needs around it: data, minibatches, checkpoints, a progress bar, curves."""

from chainrule.train import checkpoint, data
from chainrule.train.batching import Batches, batches
from chainrule.train.checkpoint import CheckpointError
from chainrule.train.curves import Curves
from chainrule.train.metrics import accuracy
from chainrule.train.progress import progress

__all__ = [
    "Batches",
    "CheckpointError",
    "Curves",
    "accuracy",
    "batches",
    "checkpoint",
    "data",
    "progress",
]
