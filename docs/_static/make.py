"""Draw the picture in the README again, by running the README's own example: python docs/_static/make.py."""

import os
import re
from pathlib import Path

here = Path(__file__).resolve().parent
readme = (here.parent.parent / "README.md").read_text(encoding="utf-8")
(example,) = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
os.chdir(here)
exec(compile(example, "README.md", "exec"), {})
