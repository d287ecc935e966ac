"""Plain NumPy on Values: importing this package attaches operators, methods and protocols."""

from chainrule.numpy import operators, protocols

__all__ = ["operators", "protocols"]
