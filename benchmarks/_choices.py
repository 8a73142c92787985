"""Which method when: situations, the call for each, and what was measured of it.

Situations and calls are written here; every number comes from the kept results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from _evidence import (
    Evidence,
    default_of,
    hardest,
    is_baseline,
    means,
    n_seeds,
    rivals,
    shown,
    values,
)
from _tables import classed, markdown, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd

WILCOXON, REGRESSION, COSG = "Wilcoxon, abs", "logistic regression, abs", "COSG"
PBMC, BARON, TRUTH = "pbmc3k", "baron_mouse", "symsim_140_clean"
#: Nothing was chosen on these.
UNSEEN, SIMULATED, NO_SAY = "pbmc68k", "simulated", "not used to choose the default"
NOT_MEASURED = "*not measured*"
#: Behind the mean of a method that has fewer seeds than others of its column.
FEWER = " †"
NO_RANKINGS = "*Not measured yet: `python benchmarks/panels.py`.*\n"


@dataclass(frozen=True)
class Choice:
    """What somebody wants, what to call, and what the results say of it."""

    wanted: str
    use: str
    measured: Callable[[Evidence], Sequence[str]]


def tables(folder: Path) -> dict[str, str]:
    """Give the table of situations, and that of ways to rank genes."""
    evidence = Evidence(folder)
    lines = [
        [choice.wanted, choice.use, "<br>".join(choice.measured(evidence)) or NOT_MEASURED]
        for choice in CHOICES
    ]
    text = markdown(["you want", "use", "what was measured"], lines, n_words=3)
    return {
        "choices": classed(text, "choices"),
        "choices_rankings": _rankings(evidence),
    }


def _panels(evidence: Evidence, data: str, protocol: str = "held-out") -> pd.DataFrame:
    return evidence.rows("panels", data=data, protocol=protocol)


def compared(
    rows: pd.DataFrame, column: str, said: str, names: Sequence[str], decimals: int = 3
) -> list[str]:
    """A line: what is compared, and each method's number, if the first of them was measured.

    Of methods with fewer seeds than others it is said how many.
    """
    found = {name: values(rows, column, name) for name in names}
    if not len(found[names[0]]):
        return []
    most = max(map(len, found.values()))
    told = [
        f"{name} {shown(own, decimals)}" + (f" ({n_seeds(len(own))})" if len(own) < most else "")
        for name, own in found.items()
        if len(own)
    ]
    return [f"{said}: {'; '.join(told)}"]


def best_other(
    rows: pd.DataFrame,
    column: str,
    own: str,
    best: int = 1,
    other: Callable[[str], bool] = is_baseline,
) -> list[str]:
    """The best of what is not ours, on the seeds that both have; none if there is nothing."""
    pairs, _ = rivals(rows, column, own, other)
    return [hardest(pairs, best, 3).name] if pairs else []


def _with_best(
    rows: pd.DataFrame,
    column: str,
    said: str,
    names: Sequence[str],
    best: int = 1,
    decimals: int = 3,
) -> list[str]:
    """A line of some methods, and the best of what is not ours in this very column."""
    return compared(
        rows, column, said, [*names, *best_other(rows, column, names[0], best)], decimals
    )


def _few_genes(evidence: Evidence) -> list[str]:
    """On what the default was chosen by, and on what had no say."""
    lines = []
    for data, title in ((PBMC, "PBMC3k"), (BARON, "pancreas"), (UNSEEN, f"PBMC68k, {NO_SAY}")):
        rows = _panels(evidence, data)
        said = f"{title}: held-out AUROC with 3 genes"
        lines += _with_best(rows, "auroc@3", said, [default_of(rows)])
    for data, title in ((TRUTH, "SymSim"), (SIMULATED, f"simulated_panels, {NO_SAY}")):
        rows = _panels(evidence, data, "truth")
        said = f"{title}: causal genes among 20"
        lines += _with_best(rows, "causal", said, [default_of(rows)], decimals=1)
    rows = _panels(evidence, PBMC)
    return lines + _with_best(
        rows, "redundancy", "PBMC3k: redundancy of 18", [default_of(rows), WILCOXON], -1, 2
    )


def _with_model(evidence: Evidence) -> list[str]:
    rows = _panels(evidence, PBMC)
    names = ["SCVI + panel", "SCANVI + panel", "KRATOS + panel", default_of(rows)]
    return compared(rows, "auroc@3", "PBMC3k, held-out AUROC with 3 genes", names) + compared(
        rows, "redundancy", "redundancy of 18", names, 2
    )


def _batches(evidence: Evidence) -> list[str]:
    rows = _panels(evidence, "symsim_220_complex", "truth")
    names = ["ACE + panel", default_of(rows)]
    noise = "noise genes among 20, simulated set with batches"
    return _with_best(rows, "noise", noise, names, -1, 1) + _with_best(
        rows, "causal", "causal genes", names, 1, 1
    )


def _tests(evidence: Evidence) -> list[str]:
    rows = _panels(evidence, PBMC)
    return compared(
        rows,
        "redundancy_abs",
        "absolute correlation among 18, PBMC3k",
        [WILCOXON, default_of(rows)],
        2,
    )


def _first_look(evidence: Evidence) -> list[str]:
    rows = _panels(evidence, PBMC)
    names = [COSG, "t-test, abs", default_of(rows)]
    return compared(rows, "seconds", "seconds, PBMC3k", names, 2) + compared(
        rows, "auroc@3", "held-out AUROC with 3 genes", names
    )


def _change(evidence: Evidence) -> list[str]:
    rows = evidence.rows("speed", comparison="adversarial", subject="proximal")
    if not {"flip_rate", "n_features"} <= set(rows) or not len(rows):
        return []
    flipped, genes = rows["flip_rate"].mean(), rows["n_features"].mean()
    return [f"PBMC3k: {flipped:.1%} of the cells flipped, by {genes:.1f} genes each"]


def _long_lists(evidence: Evidence) -> list[str]:
    rows = evidence.rows("structure", data="symsim_220_clean")
    names = [REGRESSION, "ace expected_gradients", default_of(rows), WILCOXON]
    return [
        line
        for k in (20, 100)
        for line in compared(
            rows, f"jaccard@{k}", f"simulated set, neighbours lost with {k} genes", names
        )
    ]


def _labels(evidence: Evidence) -> list[str]:
    lines = []
    for source, title in (("CTRL", "CTRL → STIM"), ("STIM", "STIM → CTRL")):
        rows = evidence.rows("transfer", comparison="transfer", data="kang", source=source)
        names = ["SCNYM", "SCANVI", "linear SVM", "linear SVM, variable genes"]
        names.append("logistic regression, variable genes")
        lines += compared(rows, "balanced_accuracy", f"Kang {title}, balanced accuracy", names)
    return lines


def _same_experiment(evidence: Evidence) -> list[str]:
    rows = evidence.rows("transfer", comparison="transfer", data="cellmix")
    names = ["logistic regression", "SCNYM"]
    return compared(rows, "accuracy", "cell lines, accuracy", names) + compared(
        rows, "ece", "calibration error", names
    )


def _new_types(evidence: Evidence) -> list[str]:
    rows = evidence.rows("transfer", comparison="novelty", data="kang")
    own = "SCNYM, new_identity"
    names = [own, *best_other(rows, "auroc", own, other=lambda name: not name.startswith("SCNYM"))]
    return compared(rows, "auroc", "AUROC of novelty, each type hidden in turn", names)


def _clusters(evidence: Evidence) -> list[str]:
    lines = []
    for data, title in (
        ("pbmc3k_processed", "PBMC3k, scaled"),
        ("pbmc3k", "PBMC3k, log-normalised"),
        ("symsim_220_complex", "simulated, two batches"),
        ("kang", "Kang, two batches"),
    ):
        rows = evidence.rows("clusters", data=data)
        names = ["ACE", "PCA + k-means", "scVI + k-means"]
        lines += compared(rows, "ari", f"{title}, ARI", names, 2)
    return lines


def _pathway(evidence: Evidence) -> list[str]:
    rows = evidence.rows("scare", comparison="pathway", data="kang", set="both")
    names = ["SCARE", "SCARE, weight 0"]
    return compared(rows, "fssf", "Kang, two pathways, FSSF", names, 2) + compared(
        rows, "accuracy", "types told by neighbours", names
    )


def _images(evidence: Evidence) -> list[str]:
    rows = evidence.rows("mnist", network="convolutional", subject="proximal")
    if not len(rows):
        return []
    flipped, pixels = rows["flipped"].mean(), rows["n_pixels"].median()
    seconds = rows["seconds"].sum() / rows["n_images"].sum()
    return [f"MNIST: {flipped:.1%} flipped, {pixels:.0f} pixels changed, {seconds:.2f} s an image"]


CHOICES = (
    Choice(
        "a few genes that tell a group: to stain, sort, probe or name it",
        "{func}`ace.tl.explain` as it is",
        _few_genes,
    ),
    Choice(
        "the same, for groups that come from a model that you have trained (scVI, scANVI, Kratos)",
        "{func}`ace.tl.explain` with `model=`",
        _with_model,
    ),
    Choice(
        "the same, from cells of several batches, and nothing has corrected them",
        "{class}`ace.model.ACE` with `batch_key`, then {func}`ace.tl.explain` with `model=`",
        _batches,
    ),
    Choice(
        "every gene that differs, p-values, or genes for an enrichment analysis",
        "scanpy's Wilcoxon test; with replicates, DESeq2. A panel ranks genes lower that share "
        "much with others, and has no p-values",
        _tests,
    ),
    Choice(
        "a first look at what is high in each group",
        "COSG or the t-test",
        _first_look,
    ),
    Choice(
        "long lists, of fifty genes or more",
        'logistic regression, or `method="expected_gradients"`',
        _long_lists,
    ),
    Choice(
        "what has to change in each cell to leave its group, or to join another one",
        '{func}`ace.tl.explain` with `method="adversarial"`, and `reference=` for one against one',
        _change,
    ),
    Choice(
        "labels for cells of another experiment, donor or condition",
        "{func}`ace.tl.annotate`",
        _labels,
    ),
    Choice(
        "the same, and some cells may be of types that nobody labelled",
        '{func}`ace.tl.annotate` with `preset="new_identity"`, and its novelty',
        _new_types,
    ),
    Choice(
        "labels for cells that differ little from those that have some",
        "logistic regression",
        _same_experiment,
    ),
    Choice(
        "clusters and an embedding in one, with batches corrected",
        "{class}`ace.model.ACE`; without batches, principal components may do",
        _clusters,
    ),
    Choice(
        "an embedding that listens to genes of your choice",
        "{class}`ace.model.SCARE`",
        _pathway,
    ),
    Choice(
        "the smallest change that turns one image, or any vector, into another class",
        "{func}`ace.explain.transitions`",
        _images,
    ),
)

#: Ways to rank genes without a model: what each is for.
RANKINGS = {
    "ace panel": "few genes, the first five chosen jointly",
    "ace expected_gradients": "long rankings; signed contributions of each gene",
    "ace integrated_gradients": "contributions that add up to the score",
    "ace adversarial": "what has to change; one group against another",
    "ace smoothgrad": "comparison with published figures",
    "ace saliency": "the quickest of ours; directions of the score",
    WILCOXON: "p-values, every gene on its own",
    "t-test, abs": "a first look",
    REGRESSION: "long lists",
    COSG: "a first look, enriched genes only",
    "DESeq2": "p-values from counts with replicates",
    "JSD specificity": "genes of one group and no other",
    "NS-Forest": "short lists of genes that are on",
    "L1 logistic regression": "few genes, by a linear model",
    "GCE": "shifts between groups in a linear embedding",
    "GRS": "genes that vary along a diffusion map",
}


def _rankings(evidence: Evidence) -> str:
    """A line for each ranking, its figures on held-out cells and against the truth."""
    pbmc, baron = _panels(evidence, PBMC), _panels(evidence, BARON)
    truth = _panels(evidence, TRUTH, "truth")
    halves = evidence.rows("stability", data=PBMC, kind="halves")
    fields = (
        ("PBMC3k: AUROC @3", pbmc, "auroc@3", 3),
        ("@18", pbmc, "auroc@18", 3),
        ("redundancy", pbmc, "redundancy", 2),
        ("pancreas: AUROC @3", baron, "auroc@3", 3),
        ("simulated: noise of 20", truth, "noise", 1),
        ("found again in other half", halves, "jaccard", 2),
        ("seconds", pbmc, "seconds", 2),
    )
    there = [f for f in fields if len(means(f[1], f[2]))]
    most = [_most_seeds(rows, column) for _, rows, column, _ in there]
    lines = []
    for name, purpose in RANKINGS.items():
        found = [values(rows, column, name) for _, rows, column, _ in there]
        if any(len(own) for own in found):
            cells = [
                number(own.mean(), float("nan"), decimals) + (FEWER if len(own) < n else "")
                if len(own)
                else ""
                for own, (*_, decimals), n in zip(found, there, most, strict=True)
            ]
            lines.append([name, purpose, *cells])
    head = ["ranking", "for", *(f[0] for f in there)]
    return classed(markdown(head, lines, n_words=2), "rankings") if lines else NO_RANKINGS


def _most_seeds(rows: pd.DataFrame, column: str) -> int:
    return max(len(values(rows, column, name)) for name in RANKINGS)
