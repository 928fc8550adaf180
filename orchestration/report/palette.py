"""Colours of the report: one source for the page's style sheet and for every figure (design §11).

Streams keep their colour everywhere (blue is where, orange is what, purple is both), baselines are grey, and a verdict
has a glyph and a word besides its colour, so that no colour-blind reader and no black-and-white print loses it.
"""

from dataclasses import dataclass

INK = "#1d232b"
MUTED = "#5d6874"
RULE = "#d8dde3"
PAPER = "#ffffff"
TARGET = "#00694f"
FAILURE = "#a8321a"

SERIES = {
    "hybrid": "#5b3f95",
    "dino_only": "#2a6fb0",
    "vlm_only": "#c2640f",
    "true": "#1d232b",
    "vae_roundtrip": "#5d6874",
}
BASELINE = "#98a2ad"
OTHERS = ("#2a6fb0", "#c2640f", "#5b3f95", "#00694f", "#8a6100", "#5d6874")


@dataclass(frozen=True)
class Mark:
    """How a verdict or a criterion's outcome is shown."""

    word: str
    glyph: str
    colour: str
    """On light paper; at least 4.5:1 against white."""
    dark: str
    """On dark paper."""
    tone: str
    """The name of its class in the style sheet."""


_GO = ("#00694f", "#5fd0ac", "go")
_MARGINAL = ("#8a6100", "#e3b94f", "marginal")
_NO_GO = ("#a8321a", "#f0886f", "nogo")
_OPEN = ("#4a5a6a", "#a9b7c6", "open")

MARKS = {
    "GO": Mark("GO", "✓", *_GO),
    "MARGINAL": Mark("MARGINAL", "≈", *_MARGINAL),
    "NO_GO": Mark("NO-GO", "✕", *_NO_GO),
    "INCONCLUSIVE": Mark("INCONCLUSIVE", "?", *_OPEN),
    "stands": Mark("STANDS", "✓", *_GO),
    "falls": Mark("FALLS", "✕", *_NO_GO),
    "open": Mark("OPEN", "?", *_OPEN),
    "holds": Mark("HOLDS", "✓", *_GO),
    "fails": Mark("FAILS", "✕", *_NO_GO),
}
NOT_RUN = Mark("NOT RUN YET", "–", *_OPEN)


def mark(verdict: str | None) -> Mark:
    """The mark of a verdict; of nothing at all when the phase has not run."""
    return NOT_RUN if verdict is None else MARKS.get(verdict, Mark(verdict.replace("_", " "), "·", *_OPEN))


def series(label: str, index: int = 0) -> str:
    """The colour of an arm or a curve; a label without one of its own takes the next free colour."""
    return SERIES.get(label, OTHERS[index % len(OTHERS)])


LIGHT = {
    "page": "#f6f5f2", "sheet": PAPER, "ink": INK, "muted": MUTED, "rule": RULE,
    "hybrid": SERIES["hybrid"], "where": SERIES["dino_only"],
}  # fmt: skip
DARK = {
    "page": "#14171b", "sheet": "#1c2026", "ink": "#e8eaed", "muted": "#9ea8b3", "rule": "#363d46",
    "hybrid": "#b39ddf", "where": "#6fa8dc",
}  # fmt: skip
