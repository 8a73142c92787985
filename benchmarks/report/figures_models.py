"""The figures of label transfer and of SCARE."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.core.store import Results
from benchmarks.report.derived import PLAIN, SCARE, weights
from benchmarks.report.figures import BLUE, GREEN, GREY, VERMILLION, legend, plain, styles
from benchmarks.report.markdown import SHORT, TITLES, ordered

RELIABILITY = {"SCNYM": BLUE, "logistic regression": GREEN, "SCANVI": VERMILLION}
#: Cells that a bin of the reliability curve needs to be drawn.
FEWEST_IN_BIN = 10


def draw_reliability(results: Results) -> Figure:
    """Accuracy against confidence, bins of all tasks and seeds of a set pooled."""
    values = results.values("transfer", protocol="as they are")
    values = values[values["metric"].str.startswith("bin_")]
    names = ordered(values["data"], TITLES)
    fig = Figure(figsize=(3.7 * len(names), 4.0), layout="constrained")
    axes = fig.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        for method, color in RELIABILITY.items():
            own = values[(values["data"] == name) & (values["method"] == method)]
            if own.empty:
                continue
            bins = own.pivot_table(index="at", columns="metric", values="value", aggfunc="sum")
            n, confidence, right = (bins[f"bin_{c}"] for c in ("cells", "confidence", "right"))
            error = (confidence - right).abs().sum() / n.sum()
            there = n >= min(FEWEST_IN_BIN, n.max())  # bins of a few cells say nothing
            x, y = (confidence / n)[there], (right / n)[there]
            ax.plot(x, y, color=color, linewidth=1.5, label=f"{method}, ECE {error:.3f}")
            ax.scatter(x, y, s=4 + 90 * n[there] / n.sum(), color=color, linewidth=0, zorder=3)
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xlabel="confidence")
        plain(ax)
        ax.legend(loc="lower right", frameon=False, fontsize=8)
        ax.set_title(SHORT.get(name, name), fontsize=11)
    axes[0].set_ylabel("accuracy")
    return fig


def draw_scare_fssf(results: Results) -> Figure:
    """The score of every pair of subclusters by type: the genes, and the mean of random sets."""
    values = results.values("scare", protocol="pathway", setting="both", seed=0)
    values = values[values["metric"].str.endswith("_pair")]
    drawn = {SCARE: "with the attribution loss", PLAIN: "without"}
    sets = ordered(values["data"], ("kang", "pbmc3k"))
    fig = Figure(figsize=(10.4, 3.1 * len(sets)), layout="constrained")
    axes = fig.subplots(len(sets), 2, sharey=True, squeeze=False)
    for name, line in zip(sets, axes, strict=True):
        own = values[values["data"] == name]
        types = sorted(own["group"].unique())
        for ax, (method, said) in zip(line, drawn.items(), strict=True):
            ax.set_title(f"{SHORT[name]}, {said}", fontsize=10)
            _pairs(ax, own[own["method"] == method], types)
        line[0].set_ylabel("FSSF")
    legend(fig, sort=False, loc="outside lower center", ncols=2)
    return fig


def _pairs(ax: Axes, pairs: pd.DataFrame, types: list[str]) -> None:
    """Dots of each type, genes and random sets side by side, and a bar at their mean."""
    rng = np.random.default_rng(0)
    for metric, label, color, shift in (
        ("fssf_pair", "the genes", BLUE, -0.18),
        ("random_pair", "random sets, mean", GREY, 0.18),
    ):
        own = pairs[pairs["metric"] == metric]
        for at, name in enumerate(types):
            values = own.loc[own["group"] == name, "value"]
            x = at + shift + rng.uniform(-0.09, 0.09, len(values))
            ax.scatter(x, values, s=13, color=color, alpha=0.75, linewidth=0)
            ax.hlines(values.mean(), at + shift - 0.14, at + shift + 0.14, color=color, lw=1.6)
        ax.scatter([], [], s=13, color=color, label=label)
    ax.axhline(0, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
    ax.set(xlim=(-0.6, len(types) - 0.4), ylim=(-1.06, 1.06))
    ax.set_xticks(range(len(types)), types, rotation=35, ha="right", fontsize=8)
    plain(ax)


def draw_scare_weights(results: Results) -> Figure:
    """The score of the genes against the accuracy of types, for each weight of the loss."""
    scan = weights(results)
    data = ordered(scan["data"], TITLES)[0]
    scan = scan[scan["data"] == data]
    scan = scan.assign(name=scan["loss"], weight=scan["number"])
    levels = results.rows("scare", protocol="pathway", data=data, setting="both")
    levels = levels[levels["seed"].isin(scan["seed"])]
    fig = Figure(figsize=(9.6, 4.0), layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    fields = {"accuracy": "types told, accuracy", "balanced_accuracy": "balanced accuracy"}
    for ax, (field, title) in zip(axes, fields.items(), strict=True):
        for name, style in styles("weights").items():
            own = scan[scan["name"] == name].groupby("weight")[[field, "fssf"]].mean()
            if len(own):
                ax.plot(own[field], own["fssf"], label=name, markersize=5, **style)
            for weight, point in own.iterrows():
                text = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7}
                ax.annotate(f"{weight:g}", tuple(point), color=style["color"], **text)
        for name, marker in ((PLAIN, "D"), ("SCVI", "X")):
            at = levels[levels["method"] == name][[field, "fssf"]].mean()
            ax.scatter(*at, marker=marker, s=45, color=GREY, zorder=3, label=name)
        ax.axhline(0, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
        ax.set_xlabel(title)
        ax.locator_params(axis="x", nbins=5)
        plain(ax)
    axes[0].set_ylabel("FSSF")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    return fig
