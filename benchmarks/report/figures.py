"""The figures of the documentation, drawn from the stored results; nothing is computed anew."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

import ace
from benchmarks.core.store import Results
from benchmarks.report.derived import CD4, PLAIN, SCARE, weights
from benchmarks.report.evidence import CAUSAL, DEFAULT, is_baseline
from benchmarks.report.markdown import SHORT, TITLES, ordered, styles
from benchmarks.report.tables import sizes_of

# Okabe & Ito's palette: distinct with every common kind of colour vision.
BLUE, GREY = "#0072B2", "#666666"
LEVEL: dict[str, Any] = {"color": GREY, "linestyle": (0, (4, 3))}
#: Where text stands beside a mark.
BESIDE: dict[str, Any] = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 7}
#: Ours are coloured (without a model warm, through ACE blue, through Kratos green), others grey.
STYLES = styles("rankings")
#: Distances of the AUROC from 1 that are marked, of those in sight.
TICKS = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)

#: Cells that a bin of the reliability curve needs to be drawn.
FEWEST_IN_BIN = 10


def grid(
    n_rows: int, n_columns: int, height: float, width: float, margin: float = 0, **shared: Any
) -> tuple[Figure, Any]:
    """A figure of panels of one size, with a margin on the right."""
    size = (width * n_columns + margin, height * n_rows)
    fig = Figure(figsize=size, layout="constrained")
    axes = fig.subplots(n_rows, n_columns, squeeze=False, **shared)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    return fig, axes


def _style(name: str, dense: bool) -> dict[str, Any]:
    """How a ranking is drawn; fewer marks on dense lines."""
    style = {"color": "0.4", "linewidth": 1.3} | STYLES.get(name, {})
    marks = {"markersize": 4.5, "markevery": 3 if dense else 1}
    return style | (marks if "marker" in style else {})


def _lines(
    ax: Axes, x: list[int], mean: pd.DataFrame, error: pd.DataFrame, banded: Iterable[str]
) -> None:
    """A line for each method, with a band around some."""
    for name in ordered(mean.index.drop(CAUSAL, errors="ignore"), STYLES):
        style = _style(name, dense=len(x) > 10)
        ax.plot(x, mean.loc[name], label=name, **style)
        if name in banded:
            y, spread = mean.loc[name].to_numpy(), error.loc[name].fillna(0).to_numpy()
            band = {"color": style["color"], "alpha": 0.12, "linewidth": 0, "zorder": 1}
            ax.fill_between(x, np.maximum(y - spread, 1e-5), y + spread, **band)
    ax.set_xlabel("number of genes")
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)


def legend(fig: Figure, *, sort: bool = True, **options: Any) -> None:
    """One legend for all panels, the methods as in the tables."""
    handles = {
        label: handle
        for ax in fig.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    names = ordered(handles, [*STYLES, CAUSAL]) if sort else list(handles)
    options = {"loc": "outside right center", "handlelength": 2.8} | options
    fig.legend([handles[n] for n in names], names, frameon=False, fontsize=9, **options)


def draw_structure(results: Results) -> Figure:
    """Distance of neighbourhoods, mean ± standard deviation over seeds."""
    rows = results.rows("structure")
    names = ordered(rows["data"], TITLES)
    fig, (axes,) = grid(1, len(names), 4.0, 3.9, 2.1, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        part = rows[rows["data"] == name]
        sizes = sizes_of(part, "jaccard")
        curves = part.groupby("method")[[f"jaccard@{k}" for k in sizes]]
        mean, spread = curves.mean(), curves.std()
        if CAUSAL in mean.index:
            level = {"color": GREY, "linestyle": (0, (6, 3)), "linewidth": 1}
            ax.axhline(mean.loc[CAUSAL].iloc[0], label=CAUSAL, **level)
        _lines(ax, sizes, mean, spread, [n for n in mean.index if not is_baseline(n)])
        ax.set_title(SHORT.get(name, name), fontsize=11)
        ax.set_xlim(0, None)
    axes[0].set_ylabel("mean Jaccard distance of neighbourhoods")
    legend(fig)
    return fig


def draw_curves(results: Results) -> Figure:
    """AUROC (its distance from 1, logarithmic) and redundancy, with the default's error."""
    rows = results.rows("curves")
    sets = ordered(rows["data"], TITLES)
    protocols = {"in-sample": "in sample", "held-out": "held-out cells"}
    run = [protocol for protocol in protocols if (rows["protocol"] == protocol).any()]
    lines = list(product(run, ("auroc", "redundancy")))
    fig, axes = grid(len(lines), len(sets), 2.9, 3.6, 2.4)
    for (protocol, measure), across in zip(lines, axes, strict=True):
        for ax, name in zip(across, sets, strict=True):
            part = rows[(rows["data"] == name) & (rows["protocol"] == protocol)]
            if part.empty:
                ax.set_axis_off()
                continue
            _curve(ax, part.dropna(axis=1, how="all"), measure)
            ax.set_title(f"{SHORT.get(name, name)}, {protocols[protocol]}", fontsize=10)
            ax.set_ylabel(measure.replace("auroc", "AUROC"))
    legend(fig)
    return fig


def _curve(ax: Axes, rows: pd.DataFrame, measure: str) -> None:
    sizes = sizes_of(rows)
    mean = rows.groupby("method")[[f"{measure}@{k}" for k in sizes]].mean()
    error = rows.groupby("method")[[f"{measure}_sem@{k}" for k in sizes]].mean()
    mean = 1 - mean if measure == "auroc" else mean
    _lines(ax, sizes, mean, error, [DEFAULT])
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(k) for k in sizes])
    ax.set_xticks([], minor=True)
    if measure == "auroc":
        ax.set_yscale("log")
        bottom, top = min(np.nanmax(mean) * 1.15, 0.5), np.nanmin(mean) / 1.15
        kept: list[float] = []
        for tick in (tick for tick in TICKS if top <= tick <= bottom):
            # Labels do not touch.
            if not kept or np.log(kept[-1] / tick) > 0.06 * np.log(bottom / top):
                kept.append(tick)
        ax.set_yticks(kept, [f"{1 - tick:.4g}" for tick in kept])
        ax.set_yticks([], minor=True)
        ax.set_ylim(bottom, top)  # upside down: the best on top


def draw_overlap(results: Results) -> Figure:
    """Which methods share the first genes of one type, in the first set."""
    rows = results.rows("overlap")
    genes = results.values("overlap", metric="depleted", seed=rows["seed"].min())
    genes = genes[genes["data"] == ordered(genes["data"], TITLES)[0]]
    group = CD4 if (genes["group"] == CD4).any() else genes["group"].iloc[0]
    own = dict(iter(genes[genes["group"] == group].groupby("method")))
    names = [name for name in styles("overlap") if name in own]
    n_depleted = {n: f"{own[n]['value'].sum():.0f} depleted" for n in names}
    panels = {f"{n} ({n_depleted[n]})": {group: list(own[n]["at"])} for n in names}
    options = {"n_top": 18, "highlight": next(iter(panels)), "return_fig": True}
    return ace.pl.overlap(panels, group=group, **options)


def _scatter(ax: Axes, arrays: dict[str, np.ndarray], field: str, size: float) -> list[str]:
    """Cells in the colours of their clusters or labels; returns the names of these."""
    at, codes, names = arrays["umap"] / 100, arrays[field], list(arrays[f"{field}_names"])
    colors = colormaps["tab20" if len(names) > 10 else "tab10"].colors
    if field == "label" and "cluster" in arrays:
        colors = [colors[i % len(colors)] for i in _matching(codes, arrays["cluster"])]
    ax.set_axis_on()
    for code, name in enumerate(names):
        ax.scatter(*at[codes == code].T, s=size, color=colors[code], linewidth=0, label=name)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="lightgrey")
    return names


def _matching(labels: np.ndarray, clusters: np.ndarray) -> list[int]:
    """For each label the cluster that shares most cells with it, each cluster at most once."""
    shared = pd.crosstab(labels, clusters).to_numpy()
    pairs = dict(zip(*linear_sum_assignment(shared, maximize=True), strict=True))
    free = iter(range(shared.shape[1], sum(shared.shape)))
    return [pairs[i] if i in pairs else next(free) for i in range(len(shared))]


def draw_embeddings(results: Results) -> Figure:
    """ACE's embedding of each set, by its clusters and by the given labels."""
    found = {task.data: arrays for task, arrays in results.arrays("clusters").items()}
    sets = ordered(found, TITLES)
    fig, axes = grid(len(sets), 2, 3.9, 3.6)
    for name, line in zip(sets, axes, strict=True):
        fields = {"cluster": "clusters", "label": "given labels"}
        for ax, (field, what) in zip(line, fields.items(), strict=True):
            size = float(np.clip(12_000 / len(found[name]["umap"]), 1.5, 12))
            names = _scatter(ax, found[name], field, size)
            ax.set_title(f"{SHORT.get(name, name)}: ACE, {what}", fontsize=9)
            ax.legend(
                loc="upper center",
                bbox_to_anchor=(0.5, -0.01),
                ncols=2 if max(map(len, names)) > 6 else 5,
                frameon=False,
                fontsize=7,
                markerscale=max(1.0, (16 / size) ** 0.5),
                handletextpad=0.1,
                columnspacing=0.8,
                labelspacing=0.25,
            )
    return fig


def draw_representations(results: Results) -> Figure:
    """Cells by UMAP of each latent space, coloured by type, with the agreement of clusters."""
    found = results.arrays("representations")
    first = ordered({task.data for task in found}, TITLES)[0]
    found = {task.method: arrays for task, arrays in found.items() if task.data == first}
    rows = results.rows("representations", data=first)
    rows = rows[rows["seed"] == rows["seed"].min()].set_index("method")
    places = styles("representations")
    names = ordered(found, places)
    width = 2 if len(names) in (2, 4) else min(len(names), 3)
    height = -(-len(names) // width)
    fig, axes = grid(height, width, 3.5, 3.5, 2)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, name in zip(axes.flat, names, strict=False):
        size = float(np.clip(9_000 / len(found[name]["umap"]), 2, 12))
        _scatter(ax, found[name], "label", size)
        row = rows.loc[name]
        agreement = f"k-means: ARI {row['ari']:.2f}, AMI {row['ami']:.2f}"
        if pd.notna(row.get("ari_predicted")):
            agreement += f"; predicted: {row['ari_predicted']:.2f}, {row['ami_predicted']:.2f}"
        ax.set_title(f"{places.get(name, {}).get('label', name)}\n{agreement}", fontsize=9)
    legend(fig, sort=False, markerscale=3, handlelength=1.5)
    return fig


def draw_mnist(results: Results, network: str) -> Figure:
    """The first image of every pair of digits, before and after."""
    found = {t.setting: a for t, a in results.arrays("mnist").items() if t.protocol == network}
    pairs = [pair.split("→") for pair in found]
    source, target = zip(*pairs, strict=True)
    before, after = (
        np.stack([arrays[name] for arrays in found.values()]).astype(np.float32) / 255
        for name in ("original", "result")
    )
    flipped = np.ones(len(pairs), dtype=bool)
    transitions = ace.explain.Transitions(
        before, after, source=source, target=target, assigned=target, flipped=flipped
    )
    return ace.pl.transitions(transitions, ncols=4, return_fig=True)


def draw_reliability(results: Results) -> Figure:
    """Accuracy against confidence, bins of all tasks and seeds of a set pooled."""
    values = results.values("transfer", protocol="as they are")
    values = values[values["metric"].str.startswith("bin_")]
    names = ordered(values["data"], TITLES)
    fig, (axes,) = grid(1, len(names), 4.0, 3.7, sharey=True)
    for ax, name in zip(axes, names, strict=True):
        ax.plot([0, 1], [0, 1], linewidth=0.8, **LEVEL)
        for method, style in styles("reliability").items():
            own = values[(values["data"] == name) & (values["method"] == method)]
            if own.empty:
                continue
            bins = own.pivot_table(index="at", columns="metric", values="value", aggfunc="sum")
            n, confidence, right = (bins[f"bin_{c}"] for c in ("cells", "confidence", "right"))
            error = (confidence - right).abs().sum() / n.sum()
            there = n >= min(FEWEST_IN_BIN, n.max())  # bins of a few cells say nothing
            x, y = (confidence / n)[there], (right / n)[there]
            ax.plot(x, y, label=f"{method}, ECE {error:.3f}", **style)
            size = 4 + 90 * n[there] / n.sum()
            ax.scatter(x, y, s=size, color=style["color"], linewidth=0, zorder=3)
        ax.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", xlabel="confidence")
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
    fig, axes = grid(len(sets), 2, 3.1, 5.2, sharey=True)
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
    ax.axhline(0, linewidth=0.6, **LEVEL)
    ax.set(xlim=(-0.6, len(types) - 0.4), ylim=(-1.06, 1.06))
    ax.set_xticks(range(len(types)), types, rotation=35, ha="right", fontsize=8)


def draw_scare_weights(results: Results) -> Figure:
    """The score of the genes against the accuracy of types, for each weight of the loss."""
    scan = weights(results)
    data = ordered(scan["data"], TITLES)[0]
    scan = scan[scan["data"] == data]
    levels = results.rows("scare", protocol="pathway", data=data, setting="both")
    levels = levels[levels["seed"].isin(scan["seed"])]
    fig, (axes,) = grid(1, 2, 4.0, 4.8, sharey=True)
    fields = {"accuracy": "types told, accuracy", "balanced_accuracy": "balanced accuracy"}
    for ax, (field, title) in zip(axes, fields.items(), strict=True):
        for name, style in styles("weights").items():
            own = scan[scan["loss"] == name].groupby("number")[[field, "fssf"]].mean()
            if len(own):
                ax.plot(own[field], own["fssf"], label=name, markersize=5, **style)
            for weight, point in own.iterrows():
                ax.annotate(f"{weight:g}", tuple(point), color=style["color"], **BESIDE)
        for name, style in styles("weight levels").items():
            at = levels[levels["method"] == name][[field, "fssf"]].mean()
            ax.scatter(*at, s=45, label=name, **style)
        ax.axhline(0, linewidth=0.6, **LEVEL)
        ax.set_xlabel(title)
        ax.locator_params(axis="x", nbins=5)
    axes[0].set_ylabel("FSSF")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    return fig
