"""A drop-in for Karpathy's micrograd: its names and attributes, on this engine.

Change the import lines and nothing else::

    from chainrule.micrograd.engine import Value
    from chainrule.micrograd.nn import Neuron, Layer, MLP

`engine.Value` is `chainrule.Value`, so everything else works on these graphs too: `chainrule.draw`,
arrays, derivatives of any order. The numbers are micrograd's, except where micrograd's are wrong: a
second ``backward()`` adds the gradient exactly once more, and a graph may be of any depth.
"""
