"""Formulas as MathML, which browsers render themselves: no script, no font, no network."""

import re
from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

# What TeX sets otherwise than the converter: functions are names, with a space before an argument without parentheses;
# bars and slashes have no space around them; a prime is not made smaller, since its sign is a small and raised one.
SPACING = (
    (r"<mo>([a-z]{2,})</mo>", r"<mi>\1</mi>"),
    (r"(<mi>[a-z]{2,}</mi>)(?=<m(?:i|n|sub|sup|frac)>)", r'\1<mspace width="0.17em"/>'),
    (r"<msup>(<mi>[^<]+</mi>)<mi>&#x02032;</mi></msup>", r'\1<mo lspace="0" rspace="0">&#x02032;</mo>'),
    (
        r"<msup>(<mi>[^<]+</mi>)<mrow><mi>&#x02032;</mi>(<mn>\d</mn>)</mrow></msup>",
        r'<msup><mrow>\1<mo lspace="0" rspace="0">&#x02032;</mo></mrow>\2</msup>',
    ),
    (r"<mo[^>]*>(&#x0007C;|&#x02016;|&#x0002F;)</mo>", r'<mo lspace="0" rspace="0">\1</mo>'),
)


def mathml(formula: str, display: str) -> str:
    """Return the MathML of a LaTeX formula; an error for a command that the converter does not know."""
    if display == "block" and ("&" in formula or r"\\" in formula):
        formula = rf"\begin{{split}}{formula}\end{{split}}"
    made = convert(formula, display=display)
    if "\\" in made or "<mi>&<" in made:
        raise ExtensionError(f"MathML cannot be made of the formula {formula}")
    for pattern, replacement in SPACING:
        made = re.sub(pattern, replacement, made)
    return made.replace("<math ", f'<math aria-label="{escape(formula, quote=True)}" ', 1)


def visit_inline(self, node):
    self.body.append(f'<span class="formula">{mathml(node.astext(), "inline")}</span>')
    raise nodes.SkipNode


def visit_block(self, node):
    self.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
