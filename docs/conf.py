"""Configuration of the documentation: ``python -m sphinx -W docs docs/_build/html``."""

import logging
import re
import sys
from functools import cache
from html import unescape
from importlib.metadata import version as version_of
from pathlib import Path
from urllib.parse import unquote
from urllib.request import Request, urlopen

from sphinx.errors import ExtensionError
from sphinx_gallery.sorting import ExplicitOrder

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# Pages must not depend on whether their build compiled something for long.
logging.getLogger("sklearn_sgd").setLevel("ERROR")

project = "sklearn_sgd"
author = "the sklearn_sgd developers"
copyright = f"2026, {author}"
release = version = version_of("sklearn-sgd")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "browser",
    "mathml",
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "auto_examples/*.md5"]
templates_path = ["_templates"]
html_math_renderer = "mathml"
default_role = "code"

autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"  # the column of contents is too narrow for the class of each method
# The documentation builds without them.
autodoc_mock_imports = ["cloudpickle", "dask", "distributed"]


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
    # From the course's own questions to those of work.
    "within_subsection_order": ExplicitOrder(
        [
            *("quickstart.py", "plot_three_descents.py", "plot_loop_classic.py", "plot_loop_by_batches.py"),
            *("plot_counting.py", "plot_cost_of_an_iteration.py"),
            *("plot_gradient_noise.py", "plot_sample_of_the_sample.py", "plot_shuffling.py", "plot_raw_columns.py"),
            *("plot_batch_size.py", "plot_pipeline_and_search.py", "grid_search_batch_size.py"),
            *("plot_drift.py", "stream_flights.py", "plot_data_on_disk.py", "plot_prediction_in_batches.py"),
            *("plot_sparse_text.py", "plot_counts.py", "plot_quantile_bands.py", "plot_robust_losses.py"),
            *("plot_coefficient_table.py", "plot_local_minima.py", "*"),
        ]
    ),
    # Below each name of the reference: the examples that use it.
    "doc_module": "sklearn_sgd",
    "backreferences_dir": "generated/backreferences",
    "matplotlib_animations": (True, "jshtml"),
    "remove_config_comments": True,
    "default_thumb_file": str(Path(__file__).parent / "images" / "terminal.png"),
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_sgd"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "footer_start": ["copyright", "offline"],
}
# Pages that have none below them need no place for their names.
html_sidebars = {
    page: []
    for page in (
        *("index", "getting_started", "introduccion", "user_guide", "how_to_choose", "streaming", "defaults"),
        *("performance", "dask", "batch_size", "losses", "penalties", "optimizers", "stopping", "automatic_step"),
        *("from_sgdregressor", "coming_from", "add_a_loss", "glossary", "contributing", "changelog"),
        *("csv_to_model", "troubleshooting", "works_with", "support", "sparse", "saving", "inference"),
    )
}
html_static_path = ["_static"]
html_css_files = ["widths.css"]
html_js_files = ["pictures.js"]


# What a page shows when its source was read otherwise than it was meant, and what it was.
MISREADINGS = {
    r'<ol class="(?:upper|lower)(?:alpha|roman)': "an initial at the start of a paragraph became the number of a list",
    r"Alias for field number": "the field of a named tuple is not documented",
    r"In the guide: *\.": "a page of the reference without a link to the guide",
    r'class="problematic"': "a reference or a role that leads nowhere",
    r'src="https?:': "a script or a picture that needs a network",
    r'<link[^>]* rel="stylesheet"[^>]* href="https?:': "a style that needs a network",
}


@cache
def anchors(page: Path) -> set[str]:
    """What a link into a page can name after the #."""
    return {unescape(name) for name in re.findall(r'\bid="([^"]+)"', page.read_text())}


def check_pages(app, exception):
    """Raise an error for a link within the site, or a picture, that leads nowhere, and for a page that was misread."""
    if exception or app.builder.name != "html":
        return
    site, broken = Path(app.outdir), []
    for page in sorted(site.rglob("*.html")):
        if page.relative_to(site).parts[0] in ("_static", "lite"):
            continue
        text = page.read_text()
        broken += [f"{page.relative_to(site)}: {what}" for sign, what in MISREADINGS.items() if re.search(sign, text)]
        for link in sorted(set(re.findall(r'\b(?:href|src)="([^"]+)"', text))):
            path, _, anchor = unquote(unescape(link)).partition("#")
            if re.match(r"[a-z]+:|//", path):
                continue
            target = page.parent / path.partition("?")[0] if path else page
            if not target.exists() or (anchor and target.suffix == ".html" and anchor not in anchors(target)):
                broken.append(f"{page.relative_to(site)}: {link}")
    if broken:
        raise ExtensionError("\n".join(["Links that lead nowhere, and pages that were misread:", *broken]))


# The buttons of matplotlib's player of animations, as characters instead of an icon font from a network.
BUTTONS = {
    "minus": "-",
    "fast-backward": "|◀",
    "step-backward": "◁",
    "play fa-flip-horizontal": "◀",
    "pause": "‖",
    "play": "▶",
    "step-forward": "▷",
    "fast-forward": "▶|",
    "plus": "+",
}


def offline_player(app, docname, source):
    """Let players of animations work without a network."""
    if "fa fa-play" in source[0]:
        text = re.sub(r'<link rel="stylesheet"\s+href="https://[^"]*font-awesome[^"]*">', "", source[0])
        source[0] = re.sub(r'<i class="fa fa-([\w -]+)"></i>', lambda button: BUTTONS[button[1]], text)


def plain_references(app, what, name, obj, options, lines):
    """Make text of references to scikit-learn's own pages, in the docstrings of inherited methods."""
    if (getattr(obj, "__module__", "") or "").startswith("sklearn."):
        lines[:] = [re.sub(r":(?:ref|term):`([^`<]+?)\s*(?:<[^>]*>)?`", r"\1", line) for line in lines]


def setup(app):
    app.connect("autodoc-process-docstring", plain_references, priority=400)
    app.connect("source-read", offline_player)
    app.connect("build-finished", check_pages)
