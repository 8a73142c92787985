"""Colours of directions, confidence, methods and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, is_color_like, to_hex

from ace._checks._columns import column_of, labels_of
from ace._keys import ExplanationKeys, category_name, pair_name, storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

# Vermillion and blue of the palette of Okabe & Ito, distinguishable with colour vision deficiency.
ENRICHED = "#D55E00"
DEPLETED = "#0072B2"

# The palette without yellow, which has little contrast on white.
METHODS = [ENRICHED, DEPLETED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

# Low confidence is highlighted by the same colour as low fidelity in the diagnostics.
CONFIDENCE = LinearSegmentedColormap.from_list("confidence", [ENRICHED, "#DDDDDD", DEPLETED])


def group_colors(adata: AnnData, *, key: str) -> dict[str, str]:
    """Return the colour of each comparison in scanpy's plots.

    A pair has the colour of its group, a set that of its first group, and a comparison within a
    category that of the category. Stored colours are used if there are any; none are stored.
    """
    stored = ExplanationKeys(key).read(adata)
    fields, within = stored.fields, stored.params.get("within")
    color = _colors_of_column(adata, within or stored.params["groupby"], fields)
    if within:
        # One category may end like another: the longest matches.
        by_length = sorted(color, key=len)
        category = {f: c for c in by_length for f in fields if f.endswith(category_name("", c))}
        return {field: color.get(category.get(field, ""), "lightgrey") for field in fields}
    sets = stored.params.get("sets") or {}
    color |= {
        field: color.get(str(sets[storable(field)][0]), "lightgrey")
        for field in fields
        if storable(field) in sets
    }
    pairs = {pair_name(a, b): color[a] for a in color for b in color if a != b}
    return {field: color.get(field, pairs.get(field, "lightgrey")) for field in fields}


def _colors_of_column(adata: AnnData, column: str, fields: Sequence[str]) -> dict[str, str]:
    """Colour of each category of a column of ``obs``; of ``fields`` if it does not exist."""
    import scanpy as sc

    groups = list(fields)
    if column in adata.obs:
        labels = labels_of(column_of(adata.obs, column), f"adata.obs[{column!r}]")
        groups = [str(category) for category in labels.categories]

    palette = _stored_palette(adata.uns.get(f"{column}_colors"))
    if len(palette) < len(groups):
        palettes = sc.pl.palettes
        palette = next(
            (p for p in (palettes.default_20, palettes.default_28) if len(p) >= len(groups)),
            palettes.default_102,
        )
    return {group: palette[i % len(palette)] for i, group in enumerate(groups)}


def _stored_palette(stored: Any) -> list[str]:
    """Return the colours in ``uns``; an empty list if one is invalid.

    They may be names, hex codes, or RGB(A) values from 0 to 1 or from 0 to 255.
    """
    if stored is None or isinstance(stored, str):
        return []
    palette = []
    for color in stored.values() if isinstance(stored, dict) else stored:
        if not isinstance(color, str):
            values = np.asarray(color, dtype=float).ravel()
            color = tuple(values / 255 if values.size and values.max() > 1 else values)
        if not is_color_like(color):
            return []
        palette.append(str(color) if isinstance(color, str) else to_hex(color, keep_alpha=True))
    return palette
