"""Models on their way to and from other programs: safetensors, PyTorch's state dicts, ONNX."""

from chainrule.interchange.onnx_export import export_onnx
from chainrule.interchange.onnx_writer import ExportError
from chainrule.interchange.torch_state import from_torch_state_dict, to_torch_state_dict
from chainrule.interchange.weights import load_weights, save_weights

__all__ = [
    "ExportError", "export_onnx", "from_torch_state_dict", "load_weights", "save_weights",
    "to_torch_state_dict",
]  # fmt: skip
