"""Which method when: situations, the call for each, and what was measured of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import derived
from benchmarks.report.evidence import BASELINES, DEFAULT
from benchmarks.report.markdown import classed, markdown, number, plural

WILCOXON, REGRESSION, COSG, TTEST = BASELINES[0], BASELINES[3], "COSG", "t-test, abs"
NO_SAY = "not used to choose the default"
#: Behind the mean of a method that has fewer seeds than others of its column.
FEWER = " †"


@dataclass(frozen=True)
class Line:
    """A metric of some methods, and of the best of others in this very metric."""

    title: str
    metric: str
    methods: tuple[str, ...]
    rows: tuple[str, dict[str, Any]]
    decimals: int = 3
    best: int = 1
    others: tuple[str, ...] = ()

    def text(self, results: Results) -> list[str]:
        """The line, if the first of the methods was measured."""
        rows = derived(results, *self.rows)
        first = self.methods[0]
        if not len(e.values(rows, self.metric, first)):
            return []
        pairs = [p for p in e.pairs(rows, self.metric, first, sorted(self.others)) if len(p.own)]
        names = [*self.methods, *([e.hardest(pairs, self.best).name] if pairs else [])]
        found = {name: e.values(rows, self.metric, name) for name in names}
        most = max(map(len, found.values()))
        told = [
            f"{name} {e.mean_sd(own, self.decimals)}"
            + (f" ({plural(len(own))})" if len(own) < most else "")
            for name, own in found.items()
            if len(own)
        ]
        return [f"{self.title}: {'; '.join(told)}"]


def panels(data: str, protocol: str = "held-out") -> tuple[str, dict[str, Any]]:
    """Rows of the panels of a set."""
    return "panels", {"data": data, "protocol": protocol}


PBMC = panels("pbmc3k")
CLEAN = ("structure", {"data": "symsim_220_clean"})
COMPLEX = panels("symsim_220_complex", "truth")
MODELS = ("SCVI + panel", "SCANVI + panel", "KRATOS + panel", DEFAULT)
LABELS = (
    *("SCNYM", "SCANVI", "linear SVM", "linear SVM, variable genes"),
    "logistic regression, variable genes",
)
CELLMIX = ("transfer", {"data": "cellmix", "protocol": "as they are"})
PATHWAY = ("scare", {"protocol": "pathway", "data": "kang", "setting": "both"})
SCARES = ("SCARE", "SCARE, weight 0")
LONG = (REGRESSION, "ace expected_gradients", DEFAULT, WILCOXON)
#: What is wanted, what to call, and what was measured.
CHOICES: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    (
        "a few genes that tell a group: to stain, sort, probe or name it",
        "{func}`ace.tl.explain` as it is",
        (
            *(Line(f"{title}: held-out AUROC with 3 genes", "auroc@3", (DEFAULT,), panels(data),
                   others=BASELINES)
              for data, title in (("pbmc3k", "PBMC3k"), ("baron_mouse", "pancreas"),
                                  ("pbmc68k", f"PBMC68k, {NO_SAY}"))),
            *(Line(f"{title}: causal genes among 20", "causal", (DEFAULT,),
                   panels(data, "truth"), 1, others=BASELINES)
              for data, title in (("symsim_140_clean", "SymSim"),
                                  ("simulated", f"simulated_panels, {NO_SAY}"))),
            Line("PBMC3k: redundancy of 18", "redundancy", (DEFAULT, WILCOXON), PBMC, 2, -1,
                 BASELINES),
        ),
    ),
    (
        "the same, for groups that come from a model that you have trained (scVI, scANVI, Kratos)",
        "{func}`ace.tl.explain` with `model=`",
        (
            Line("PBMC3k, held-out AUROC with 3 genes", "auroc@3", MODELS, PBMC),
            Line("redundancy of 18", "redundancy", MODELS, PBMC, 2),
        ),
    ),
    (
        "the same, from cells of several batches, and nothing has corrected them",
        "{class}`ace.model.ACE` with `batch_key`, then {func}`ace.tl.explain` with `model=`",
        (
            Line("noise genes among 20, simulated set with batches", "noise",
                 ("ACE + panel", DEFAULT), COMPLEX, 1, -1, BASELINES),
            Line("causal genes", "causal", ("ACE + panel", DEFAULT), COMPLEX, 1,
                 others=BASELINES),
        ),
    ),
    (
        "every gene that differs, p-values, or genes for an enrichment analysis",
        "scanpy's Wilcoxon test; with replicates, DESeq2. A panel ranks genes lower that share "
        "much with others, and has no p-values",
        (Line("absolute correlation among 18, PBMC3k", "redundancy_abs", (WILCOXON, DEFAULT),
              PBMC, 2),),
    ),
    (
        "a first look at what is high in each group",
        "COSG or the t-test",
        (
            Line("seconds, PBMC3k", "seconds", (COSG, TTEST, DEFAULT), PBMC, 2),
            Line("held-out AUROC with 3 genes", "auroc@3", (COSG, TTEST, DEFAULT), PBMC),
        ),
    ),
    (
        "long lists, of fifty genes or more",
        'logistic regression, or `method="expected_gradients"`',
        tuple(Line(f"simulated set, neighbours lost with {k} genes", f"jaccard@{k}", LONG, CLEAN)
              for k in (20, 100)),
    ),
    (
        "what has to change in each cell to leave its group, or to join another one",
        '{func}`ace.tl.explain` with `method="adversarial"`, and `reference=` for one against one',
        tuple(Line(f"PBMC3k, {title}", metric, ("proximal",),
                   ("speed", {"protocol": "adversarial"}), decimals)
              for metric, title, decimals in (("flip_rate", "share of cells flipped", 3),
                                              ("n_features", "genes changed in each", 1))),
    ),
    (
        "labels for cells of another experiment, donor or condition",
        "{func}`ace.tl.annotate`",
        tuple(Line(f"Kang {title}, balanced accuracy", "balanced_accuracy", LABELS,
                   ("transfer", {"data": "kang", "protocol": "as they are", "setting": source}))
              for source, title in (("CTRL", "CTRL → STIM"), ("STIM", "STIM → CTRL"))),
    ),
    (
        "the same, and some cells may be of types that nobody labelled",
        '{func}`ace.tl.annotate` with `preset="new_identity"`, and its novelty',
        (Line("AUROC of novelty, each type hidden in turn", "auroc", ("SCNYM, new_identity",),
              ("novelty", {}), others=("logistic regression", "scNym, its own code, for new types",
                                       "logistic regression, variable genes")),),
    ),
    (
        "labels for cells that differ little from those that have some",
        "logistic regression",
        tuple(Line(title, metric, ("logistic regression", "SCNYM"), CELLMIX)
              for metric, title in (("accuracy", "cell lines, accuracy"),
                                    ("ece", "calibration error"))),
    ),
    (
        "clusters and an embedding in one, with batches corrected",
        "{class}`ace.model.ACE`; without batches, principal components may do",
        tuple(Line(f"{title}, ARI", "ari", ("ACE", "PCA + k-means", "scVI + k-means"),
                   ("clusters", {"data": data}), 2)
              for data, title in (("pbmc3k_processed", "PBMC3k, scaled"),
                                  ("pbmc3k", "PBMC3k, log-normalised"),
                                  ("symsim_220_complex", "simulated, two batches"),
                                  ("kang", "Kang, two batches"))),
    ),
    (
        "an embedding that listens to genes of your choice",
        "{class}`ace.model.SCARE`",
        (Line("Kang, two pathways, FSSF", "fssf", SCARES, PATHWAY, 2),
         Line("types told by neighbours", "accuracy", SCARES, PATHWAY)),
    ),
    (
        "the smallest change that turns one image, or any vector, into another class",
        "{func}`ace.explain.transitions`",
        tuple(Line(f"MNIST, {title}", metric, ("convolutional",), ("digits", {}), decimals)
              for metric, title, decimals in (("flipped", "% flipped", 1),
                                              ("n_pixels", "pixels changed", 0),
                                              ("seconds", "seconds per image", 2))),
    ),
)  # fmt: skip
#: Ways to rank genes without a model: what each is for.
RANKINGS = {
    "ace panel": "few genes, the first five chosen jointly",
    "ace expected_gradients": "long rankings; signed contributions of each gene",
    "ace integrated_gradients": "contributions that add up to the score",
    "ace adversarial": "what has to change; one group against another",
    "ace smoothgrad": "comparison with published figures",
    "ace saliency": "the quickest of ours; directions of the score",
    WILCOXON: "p-values, every gene on its own",
    TTEST: "a first look",
    REGRESSION: "long lists",
    COSG: "a first look, enriched genes only",
    "DESeq2": "p-values from counts with replicates",
    "JSD specificity": "genes of one group and no other",
    "NS-Forest": "short lists of genes that are on",
    "L1 logistic regression": "few genes, by a linear model",
    "GCE": "shifts between groups in a linear embedding",
    "GRS": "genes that vary along a diffusion map",
}
FIELDS = (
    ("PBMC3k: AUROC @3", PBMC, "auroc@3", 3),
    ("@18", PBMC, "auroc@18", 3),
    ("redundancy", PBMC, "redundancy", 2),
    ("pancreas: AUROC @3", panels("baron_mouse"), "auroc@3", 3),
    ("simulated: noise of 20", panels("symsim_140_clean", "truth"), "noise", 1),
    ("found again in other half", ("stability", {"data": "pbmc3k", "protocol": "halves"}),
     "jaccard", 2),
    ("seconds", PBMC, "seconds", 2),
)  # fmt: skip


def tables(results: Results) -> dict[str, str]:
    """The table of situations, and that of ways to rank genes."""
    lines = []
    for wanted, use, measured in CHOICES:
        told = [text for line in measured for text in line.text(results)]
        lines.append([wanted, use, "<br>".join(told) or "*not measured*"])
    text = markdown(["you want", "use", "what was measured"], lines, n_words=3)
    return {"choices": classed(text, "choices"), "choices_rankings": _rankings(results)}


def _rankings(results: Results) -> str:
    """A line for each ranking, its figures on held-out cells and against the truth."""
    columns, head = [], ["ranking", "for"]
    for title, (name, where), metric, decimals in FIELDS:
        rows = results.rows(name, **where)
        found = [e.values(rows, metric, method) for method in RANKINGS]
        most = max(map(len, found))
        if most:
            head.append(title)
            columns.append(
                [
                    number(own.mean(), np.nan, decimals) + (FEWER if 0 < len(own) < most else "")
                    for own in found
                ]
            )
    lines: Sequence[list[str]] = [
        [name, purpose, *cells]
        for (name, purpose), cells in zip(RANKINGS.items(), zip(*columns), strict=False)
        if any(cells)
    ]
    missing = "*Not measured yet: `python -m benchmarks run panels`.*\n"
    return classed(markdown(head, lines, n_words=2), "rankings") if lines else missing
