"""What a training loop needs around it: data, minibatches, checkpoints, a progress bar, curves."""

from chainrule.train import checkpoint, data
from chainrule.train.batching import Batches, batches
from chainrule.train.checkpoint import CheckpointError
from chainrule.train.curves import Curves
from chainrule.train.diagnosis import NonFiniteLoss
from chainrule.train.evaluation import evaluate, predict
from chainrule.train.fitting import Callback, Run, fit
from chainrule.train.metrics import accuracy
from chainrule.train.progress_bar import progress

__all__ = [
    "Batches",
    "Callback",
    "CheckpointError",
    "Curves",
    "NonFiniteLoss",
    "Run",
    "accuracy",
    "batches",
    "checkpoint",
    "data",
    "evaluate",
    "fit",
    "predict",
    "progress",
]
