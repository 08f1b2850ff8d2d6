# SPDX-License-Identifier: Apache-2.0
"""A terminal's contents with its colours (`tmux capture-pane -e -p`) as an SVG picture."""
import re
import unicodedata
from xml.sax.saxutils import escape

CELL, LINE, MARGIN, SIZE = 8.4, 18, 12, 14
PAPER, INK, DIM, BAR = "#1d1f21", "#d6d6d6", "#8a8a8a", "#3a3f44"
COLORS = {31: "#d06060", 32: "#8fbf6a", 33: "#e0b85a", 34: "#6f9fd8", 35: "#b58ad0", 36: "#64b8b8", 37: INK}


def width(character):
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


def restyle(style, codes):
    for code in codes:
        if code == 0:
            style = {}
        elif code in (1, 2, 7):
            style = {**style, code: True}
        elif code in (22, 27):
            style = {key: value for key, value in style.items() if key not in ((1, 2) if code == 22 else (7,))}
        elif 30 <= code <= 37 or code == 39:
            style = {**style, "color": COLORS.get(code, INK)}
    return style


def runs(line, style):
    """Pieces of one style, each with its first cell; and the style behind the line."""
    found, cell = [], 0
    for text, codes in re.findall(r"([^\x1b]+)|\x1b\[([\d;]*)m", line):
        if text:
            found.append((cell, text, style))
            cell += sum(width(character) for character in text)
        else:
            style = restyle(style, [int(code or 0) for code in codes.split(";")])
    return found, cell, style


def draw(captured):
    lines = captured.rstrip("\n").split("\n")
    body, style, columns = [], {}, 0
    for row, line in enumerate(lines):
        found, cells, style = runs(line.replace("\x0f", ""), style)
        columns = max(columns, cells)
        y = MARGIN + row * LINE
        for cell, text, look in found:
            length, x = sum(width(character) for character in text) * CELL, MARGIN + cell * CELL
            if look.get(7):
                body.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{LINE}" fill="{BAR}"/>')
            color = look.get("color", DIM if look.get(2) else INK)
            weight = ' font-weight="bold"' if look.get(1) else ""
            if text.strip():
                body.append(f'<text x="{x:.1f}" y="{y + 14}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs" '
                            f'fill="{color}"{weight} xml:space="preserve">{escape(text)}</text>')
    wide, high = 2 * MARGIN + columns * CELL, 2 * MARGIN + len(lines) * LINE
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high}" '
                      f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}">',
                      f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>', *body, "</svg>", ""])
