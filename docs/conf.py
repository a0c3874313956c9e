"""The site: `sphinx-build -W -n --keep-going -b html docs build/docs`; a warning is a failure, nothing is fetched."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

import edgefair  # noqa: E402

project = "edgefair"
author = "The edgefair authors"
copyright = "the edgefair authors, Apache 2.0"
version = release = edgefair.__version__

extensions = ["myst_parser", "mathml", "generated", "sphinx.ext.autodoc", "sphinx_click"]
autodoc_inherit_docstrings = False
smartquotes = False  # they would turn the dashes of --options into one
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries in signatures: their sites are not asked
myst_enable_extensions = ["deflist", "dollarmath", "colon_fence"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["FIGURES.md", "_ext"]
html_math_renderer = "mathml"  # drawn by the browser itself: no script, no font to fetch

html_theme = "furo"
html_title = "edgefair"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
