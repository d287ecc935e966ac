"""How Sphinx builds the documentation: chapters are executed, and nothing is fetched, then or when read."""

import hashlib
import html
import os
import re
import sys
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import functions_page  # noqa: E402

project = "chainrule"
author = "The chainrule authors"
copyright = "2026, The chainrule authors"
version = release = installed_version("chainrule")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
]
nitpicky = False

# ------------------------------------------------------------------ chapters
# Executed on every build: a cache knows a chapter's code, but not the library that the code calls.
nb_execution_mode = "force"
os.environ["CHAINRULE_CACHE"] = "off"  # the same of what the code compiles
os.environ["PYTHONPATH"] = os.pathsep.join(  # chapters import their exercises from this folder
    filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
)
nb_execution_timeout = 300  # seconds for one cell
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # these scripts come from the network
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# ------------------------------------------------------------------ reference
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say it in words
numpydoc_show_class_members = False

# ------------------------------------------------------------------ pages
html_theme = "pydata_sphinx_theme"
html_title = f"chainrule {release}"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"*": []}  # chapters have their place in the line at the top; generated/* keeps its list
html_show_sourcelink = False


# ------------------------------------------------------------------ formulas
# Written as MathML, which browsers draw by themselves; MathJax would come from the network. docutils knows a
# large part of LaTeX and refuses the rest: that is a warning here, so the build fails and names the line.
# Brackets grow only in a font made for formulas, which few systems have: ziamath is here for its own.
html_math_renderer = "mathml"
formula_font = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
html_static_path = [str(formula_font)]
logger = logging.getLogger(__name__)

formula_style = """<style>
@font-face { font-family: "STIX Two Math"; src: local("STIX Two Math"), url("FONT"); }
math { font-family: "STIX Two Math", math; }
div.math { margin-bottom: 1.15rem; }
div.math > math { flex-grow: 1; overflow: auto hidden; padding: 0.2rem 0; }
mtable.ams-align { math-style: normal; }
mtable.ams-align > mtr > mtd { padding: 0.25em 0; }
mtable.ams-align > mtr > mtd:nth-child(odd) { text-align: right; }
mtable.ams-align > mtr > mtd:nth-child(even) { text-align: left; padding-left: 0.3em; }
</style>"""


def mathml(latex, node, block):
    try:
        return tex2mathml(latex, as_block=block)
    except Exception as error:
        logger.warning("cannot write as MathML: %s: %s", latex, error, location=node)
        return ""


def visit_math(self, node):
    self.body.append(mathml(node.astext(), node, block=False))
    raise nodes.SkipNode


def visit_math_block(self, node):
    # docutils has one environment for several lines, aligned, and lines of Sphinx's need none
    latex = re.sub(r"\\(begin|end)\{equation\*?\}", "", node.astext().strip())
    latex = re.sub(r"\\(begin|end)\{(align|split|gather|gathered)\*?\}", r"\\\1{aligned}", latex)
    if r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({node["number"]})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(mathml(latex, node, block=True))
    self.body.append("</div>\n")
    raise nodes.SkipNode


# A cell tagged `wide` prints smaller, for tables wider than the text; long names are broken in titles.
# Pictures that follow the reader's theme need not be dimmed by the page's.
wide_style = """<style>
.tag_wide .output pre { font-size: 0.7em; } h1 { overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) {
  html[data-theme="dark"] .bd-content img[src$=".svg"] {
    filter: none !important; background: none !important; padding: 0 !important;
  }
}
</style>"""


def add_style(app, pagename, templatename, context, doctree):
    font = context["pathto"](f"_static/{formula_font.name}", resource=True)
    context["metatags"] = context.get("metatags", "") + formula_style.replace("FONT", font) + wide_style


# The explorer brings its program along in each frame. Here that becomes a file of its own, which a browser
# loads when the reader comes near, so that chapters stay small.
def take_out_frames(app, pagename, templatename, context, doctree):
    def taken_out(found):
        page = html.unescape(found[1]).encode()
        name = hashlib.sha256(page).hexdigest()[:16] + ".html"
        folder = Path(app.outdir) / "explorer"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(page)
        return f'src="{context["pathto"](f"explorer/{name}", resource=True)}" loading="lazy"'

    if "body" in context:
        context["body"] = re.sub(r'(?<=\s)srcdoc="([^"]*)"', taken_out, context["body"])


def write_functions(app):
    path = Path(app.srcdir) / "functions.md"
    text = functions_page.page()
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def setup(app):
    app.connect("builder-inited", write_functions)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("html-page-context", add_style)
    app.connect("html-page-context", take_out_frames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
