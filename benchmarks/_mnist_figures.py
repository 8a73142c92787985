"""What the documentation shows of mnist.json: two tables a network, and Figure 4 of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _images import SUBJECTS, unpack
from _tables import rows_of

import ace

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

TITLES = {
    "convolutional": "ACE: convolutional network, centroids in its last pooling layer",
    "vector": "Kratos: vectors of pixels, the classifier's own logits",
}
SOLVERS = {
    "proximal": "`ace.explain.transitions`",
    "subgradient": "published solver",
    "EAD default": "EAD, default settings",
    "EAD stronger": "EAD, stronger settings",
}

Row = dict[str, Any]


def summary(rows: list[Row]) -> pd.DataFrame:
    """A row a network: how good it is, and what became of all images of all pairs."""
    table = []
    for name, title in TITLES.items():
        own = [row for row in rows if row["network"] == name]
        described = [row for row in own if row["subject"] == "network"]
        pairs = [row for row in own if row["subject"] == "proximal"]
        if not described or not pairs:
            continue
        n = np.array([row["n_images"] for row in pairs])
        table.append(
            {
                "network": title,
                "accuracy": described[0]["accuracy"],
                "fidelity": described[0]["fidelity"],
                "pairs": len(pairs),
                "images": int(n.sum()),
                "flipped": np.average([row["flipped"] for row in pairs], weights=n),
                "assigned to the target": np.average(
                    [row["assigned"] for row in pairs], weights=n
                ),
                "median L1": float(np.median(np.concatenate([row["l1"] for row in pairs]))),
                "pixels changed": float(np.median([row["n_pixels"] for row in pairs])),
                "seconds an image": sum(row["seconds"] for row in pairs) / n.sum(),
            }
        )
    return pd.DataFrame(table)


def solvers(rows: list[Row], network: str) -> pd.DataFrame:
    """A row a solver and margin, beside ours on the same images: L1 and time.

    A solver that was given fewer images than ours is compared on those, and its seconds on those
    that both were timed on one after the other.
    """
    parts: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row["network"] == network and row["images"].startswith("part"):
            parts.setdefault(row["subject"], {})[row["images"]] = row
    table = []
    for margin in (1, 0):
        ours = parts.get(f"proximal, margin {margin}", {})
        for start, title in SOLVERS.items():
            theirs = parts.get(f"{start}, margin {margin}", {})
            shared = sorted(set(theirs) & set(ours))
            if not shared or start == "proximal":
                continue
            l1, our_l1 = (np.concatenate([p[i]["l1"] for i in shared]) for p in (theirs, ours))
            timed = [i for i in shared if theirs[i]["seconds"] and ours[i]["seconds"]]
            seconds, our_seconds = (
                sum(p[i]["seconds"] for i in timed) / sum(p[i]["n_images"] for i in timed)
                for p in (theirs, ours)
            )
            table.append(
                {
                    "margin": margin,
                    "compared with": title,
                    "images": len(l1),
                    "flipped": np.mean([theirs[i]["flipped"] for i in shared]),
                    "median L1": float(np.median(l1)),
                    "ours": float(np.median(our_l1)),
                    "ours no larger": float(np.mean(our_l1 <= l1)),
                    "pixels changed": float(np.median([theirs[i]["n_pixels"] for i in shared])),
                    "ours ": float(np.median([ours[i]["n_pixels"] for i in shared])),
                    "seconds an image": seconds,
                    "ours  ": our_seconds,
                    "times slower": seconds / our_seconds,
                }
            )
    return pd.DataFrame(table)


def markdown(rows: list[Row]) -> str:
    """The tables as markdown."""
    text = [_table(summary(rows))]
    for name, title in TITLES.items():
        compared = solvers(rows, name)
        if len(compared):
            text += [f"**{title}**", _table(compared)]
    return "\n\n".join(text) + "\n"


_DECIMALS = {
    "accuracy": 4, "fidelity": 3, "flipped": 3, "assigned to the target": 3, "median L1": 2,
    "ours": 2, "ours no larger": 2, "pixels changed": 1, "ours ": 1, "seconds an image": 2,
    "ours  ": 2, "times slower": 0,
}  # fmt: skip


def _table(frame: pd.DataFrame) -> str:
    def text(column: str, value: Any) -> str:
        return f"{value:.{_DECIMALS[column]}f}" if column in _DECIMALS else str(value)

    lines = ["| " + " | ".join(c.strip() for c in frame.columns) + " |", "|---" * frame.shape[1]]
    lines[1] += "|"
    for _, row in frame.iterrows():
        lines.append("| " + " | ".join(text(c, row[c]) for c in frame.columns) + " |")
    return "\n".join(lines)


def figure(rows: list[Row], network: str) -> Figure:
    """The first image of every pair, in the order of the pairs."""
    kept = {
        row["images"]: row["example"]
        for row in rows
        if row["network"] == network and "example" in row
    }
    names = ["→".join(pair) for pair in SUBJECTS[network].pairs]
    examples = [kept[name] for name in names if name in kept]
    before, after = (
        np.stack([unpack(e[field], e["shape"]) for e in examples])
        for field in ("original", "result")
    )
    targets = tuple(e["target"] for e in examples)
    found = ace.explain.Transitions(
        before,
        after,
        source=tuple(e["source"] for e in examples),
        target=targets,
        assigned=targets,
        flipped=np.ones(len(examples), dtype=bool),
    )
    return ace.pl.transitions(found, ncols=4, return_fig=True)


def draw_mnist_convolutional(results_path: Path, out_png: Path) -> None:
    """Draw ACE's Figure 4."""
    _draw(results_path, "convolutional", out_png)


def draw_mnist_vector(results_path: Path, out_png: Path) -> None:
    """Draw the same of the network that sees vectors."""
    _draw(results_path, "vector", out_png)


def _draw(results_path: Path, network: str, out_png: Path) -> None:
    """Raise a ValueError if no image was kept."""
    rows = rows_of(results_path)
    if not any(row["network"] == network and "example" in row for row in rows):
        raise ValueError(f"{results_path} has no example of the {network} network.")
    # No versions inside: the same numbers give the same file.
    options: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Software": None}}
    figure(rows, network).savefig(out_png, dpi=150, **options)
