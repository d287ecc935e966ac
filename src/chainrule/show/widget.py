"""The explorer's page as a widget: what is selected in it is known in Python, and Python may move it."""

from __future__ import annotations

from typing import Any

__all__ = ["widget"]

_SCRIPT = """
export default {
  render({ model, el }) {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts allow-downloads";
    frame.title = model.get("title");
    frame.style = "width:100%;border:0;height:" + model.get("height") + "px";
    frame.srcdoc = model.get("html");
    el.appendChild(frame);
    const hear = (event) => {
      const said = event.source === frame.contentWindow && event.data && event.data.chainrule;
      if (!said) return;
      if ("selected" in said) model.set("selected", said.selected);
      if ("step" in said) model.set("step", said.step);
      model.save_changes();
    };
    const tell = () => frame.contentWindow.postMessage(
      { chainrule: { selected: model.get("selected"), step: model.get("step") } }, "*");
    window.addEventListener("message", hear);
    model.on("change:selected", tell);
    model.on("change:step", tell);
    return () => window.removeEventListener("message", hear);
  },
};
"""


def widget(html: str, title: str, count: int, height: int) -> Any:
    """The page as a widget with ``selected``, the place of a node or None, and ``step``."""
    try:
        import anywidget
        import traitlets
    except ImportError as missing:
        raise ImportError(
            f"Explorer.widget needs {missing.name}, which is not installed; run: pip install "
            "'chainrule[notebook]'"
        ) from None

    class ExplorerWidget(anywidget.AnyWidget):  # type: ignore[misc]
        _esm = _SCRIPT
        html = traitlets.Unicode("").tag(sync=True)
        title = traitlets.Unicode("").tag(sync=True)
        height = traitlets.Int(640).tag(sync=True)
        selected = traitlets.Int(None, allow_none=True, min=0, max=max(count - 1, 0)).tag(sync=True)
        step = traitlets.Int(0, min=0).tag(sync=True)

    return ExplorerWidget(html=html, title=title, height=height)
