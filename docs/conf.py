"""Configuration of the documentation: ``python -m sphinx -W docs docs/_build/html``."""

from importlib.metadata import version as version_of
from urllib.request import Request, urlopen

project = "sklearn_sgd"
author = "the sklearn_sgd developers"
copyright = f"2026, {author}"
release = version = version_of("sklearn-sgd")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.md5", "sg_execution_times.rst"]
templates_path = ["_templates"]
default_role = "code"

autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"
# The documentation builds without them.
autodoc_mock_imports = ["dask", "distributed"]


def reachable(url: str) -> bool:
    """Whether the names of another project can be looked up: the documentation also builds without a network."""
    try:
        with urlopen(Request(url + "objects.inv", method="HEAD"), timeout=5):
            return True
    except OSError:
        return False


intersphinx_timeout = 20
intersphinx_mapping = {
    name: (url, None)
    for name, url in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "sklearn": "https://scikit-learn.org/stable/",
    }.items()
    if reachable(url)
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"(quickstart|plot_\w+)\.py",  # the others are shown; .ci/run runs each of them
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1e9,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_sgd"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
# Pages that have none below them need no place for their names.
html_sidebars = {
    page: []
    for page in (
        *("index", "getting_started", "user_guide", "how_to_choose", "streaming", "defaults", "performance", "dask"),
        *("from_sgdregressor", "coming_from", "add_a_loss", "glossary", "contributing", "changelog"),
    )
}
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
