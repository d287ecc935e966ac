"""What a training loop needs around it: minibatches, a progress bar, curves."""

from chainrule.train.batching import Batches, batches
from chainrule.train.curves import Curves
from chainrule.train.metrics import accuracy
from chainrule.train.progress import progress

__all__ = ["Batches", "Curves", "accuracy", "batches", "progress"]
