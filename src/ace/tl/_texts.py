"""Descriptions of parameters that several functions of :mod:`ace.tl` share."""

from __future__ import annotations

import textwrap

from ace.explain import Method
from ace.explain._methods import described_options, options_of

GROUPBY = """
groupby
    Column of ``obs`` with the groups; for a MuData, of the modality or of the MuData.
"""

LAYER = """
layer
    Layer to read instead of ``adata.X``.
"""

MODALITY = """
modality
    Modality of a MuData to read. The result is written to ``mdata.mod[modality]``; pass that to
    :mod:`ace.get`, :mod:`ace.pl` and scanpy.
"""

N_GENES = """
n_genes
    Number of top genes of each group to store in ``uns``, for smaller files; ``None`` for all,
    which the argument ``values_to_plot`` of scanpy's figures requires. ``varm`` always holds the
    scores of all genes.
"""

KEY_ADDED = """
key_added
    Name of the result. An existing ranking of genes (of this package or scanpy) with this name is
    overwritten; anything else raises an error.
"""

COPY = """
copy
    Write to a copy of ``adata``, and return it.
"""

RANDOM_STATE = """
random_state
    Seed. The same call gives identical results.
"""

USE_RAW = """
use_raw
    For compatibility with scanpy. ``adata.raw`` is never read: ``True`` raises an error that
    explains how to pass its values.
"""


def _described(method: type[Method]) -> list[str]:
    """Options of a method as a nested list; nothing if it has none."""
    texts = described_options(method)
    if not texts:
        return []
    lines = [f"    - ``{method.info.name!r}`` (:class:`ace.explain.{method.__name__}`):", ""]
    for name, default in options_of(method).items():
        lines += _item(f"``{name}={default!r}``: {texts[name]}", indent=6)
    return [*lines, ""]


def _item(text: str, indent: int) -> list[str]:
    """Lines of an item of a list."""
    first, rest = " " * indent + "- ", " " * (indent + 2)
    return textwrap.wrap(
        text, 95, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


METHOD = "\n".join(
    [
        "method",
        "    One of :func:`ace.explain.methods`:",
        "",
        *(
            line
            for cls in Method.registry.values()
            for line in _item(
                f"``{cls.info.name!r}``: {cls.info.computes} ({cls.info.paper})", indent=4
            )
        ),
    ]
)


METHOD_OPTIONS = "\n".join(
    [
        "**method_options",
        "    Options of the method:",
        "",
        *(line for cls in Method.registry.values() for line in _described(cls)),
    ]
).rstrip()
