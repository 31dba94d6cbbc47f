"""The documentation: python -m sphinx -W --keep-going -b html docs docs/_build/html"""

import os
import re
import sys
from pathlib import Path

# The examples are small; one thread each is quicker than many that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # for gallery_style

import sklearn_lvm  # noqa: E402

project = "sklearn_lvm"
author = "The sklearn_lvm developers"
copyright = author
version = release = sklearn_lvm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "sg_execution_times.rst"]
templates_path = ["_templates"]
root_doc = "index"
default_role = "literal"
nitpicky = False
numfig = True  # theory pages are chapters: equation 3 of chapter 7 is (7.3)
math_numfig = True
numfig_secnum_depth = 1

# -- API ---------------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

doctest_global_setup = "import numpy as np"
doctest_test_doctest_blocks = "default"
doctest_show_successes = False

# -- Gallery -----------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "gallery_style.ReadingOrder",
    "reset_modules": ("matplotlib", "gallery_style.apply"),
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_lvm",),
    "download_all_examples": False,
    "min_reported_time": 3600,  # no times in the pages
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
}

# -- HTML --------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"sklearn_lvm {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "logo": {"text": "sklearn_lvm"},
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
}
single = ("index", "comparing", "contract", "migration", "contributing", "changelog")
html_sidebars = {page: [] for page in single}  # pages without a section have nothing to list


# -- Docstrings --------------------------------------------------------------------------------------

LITERAL = re.compile(r"(``.+?``|:\w+:`.+?`|`.+?`)")


def escape(app, what, name, obj, options, lines):
    """Let formulas in docstrings be plain text: |C|, (K, *S) and names_ are no markup."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...", "..")):
            parts = LITERAL.split(line)
            parts[::2] = [plain(part) for part in parts[::2]]
            lines[i] = "".join(parts)


def plain(text):
    text = text.replace("|", r"\|")
    text = re.sub(r"\*(?=S\b)", r"\*", text)
    return text if " : " in text else re.sub(r"(?<=\w)_(?!\w)", r"\_", text)


def setup(app):
    app.connect("autodoc-process-docstring", escape, priority=400)  # before numpydoc
