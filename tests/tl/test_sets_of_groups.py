"""Sets of groups, lists of reference groups, and single groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tests.tl.test_pairs import cells

import ace
from ace.explain import GroupScorer
from ace.tl._groups import Groups, merge
from ace.tl._merged_groups import MergedGroups


def merged_column(adata, sets):
    """Merge groups in a new column, as a user would."""
    name_of = {member: name for name, members in sets.items() for member in members}
    names = [name_of.get(name, name) for name in adata.obs["cluster"].cat.categories]
    merged = adata.obs["cluster"].astype(str).replace(name_of)
    adata.obs["merged"] = pd.Categorical(merged, categories=list(dict.fromkeys(names)))


def test_a_set_equals_a_group_of_the_merged_cells():
    adata = cells(["A", "B", "C", "D"])
    merged_column(adata, {"BD": ["B", "D"]})
    ace.tl.explain(adata, "cluster", groups={"BD": ["B", "D"], "C": "C"})
    ace.tl.explain(adata, "merged", groups=["BD", "C"], key_added="merged")
    assert adata.uns["ace"]["names"].dtype.names == ("BD", "C")
    pd.testing.assert_frame_equal(
        ace.get.explain_df(adata), ace.get.explain_df(adata, key="merged")
    )
    pd.testing.assert_frame_equal(
        ace.get.diagnostics_df(adata).drop(columns="seconds"),
        ace.get.diagnostics_df(adata, key="merged").drop(columns="seconds"),
    )
    assert set(adata.uns["ace"]["names"]["BD"][:2]) <= {"g0", "g1", "g2", "g3"}
    assert adata.uns["ace"]["params"]["sets"] == {"BD": ["B", "D"]}
    assert adata.uns["merged"]["params"]["sets"] is None


def test_several_reference_groups_are_merged():
    adata = cells(["A", "B", "C", "D"])
    merged_column(adata, {"B + D": ["B", "D"]})
    ace.tl.explain(adata, "cluster", reference=["D", "B"])
    ace.tl.explain(adata, "merged", reference="B + D", key_added="merged")
    assert adata.uns["ace"]["names"].dtype.names == ("A", "C")
    assert adata.uns["ace"]["params"]["reference"] == "B + D"
    pd.testing.assert_frame_equal(
        ace.get.explain_df(adata), ace.get.explain_df(adata, key="merged")
    )
    # Markers of A and of the reference, not of C.
    assert "g2" not in adata.uns["ace"]["names"]["A"][:3]
    assert (ace.get.diagnostics_df(adata)["n_reference"] == 40).all()


def test_a_list_of_one_reference_is_that_group():
    adata = cells(["A", "B", "C"])
    ace.tl.explain(adata, "cluster", reference=["B"])
    ace.tl.explain(adata, "cluster", reference="B", key_added="one")
    assert adata.uns["ace"]["params"]["reference"] == "B"
    pd.testing.assert_frame_equal(adata.varm["ace_scores"], adata.varm["one_scores"])


def test_sets_against_each_other_and_a_list():
    adata = cells(["A", "B", "C", "D", "E"])
    sets = {"AB": ["A", "B"], "CD": ["C", "D"]}
    ace.tl.explain(adata, "cluster", groups=sets, reference="each")
    assert adata.uns["ace"]["names"].dtype.names == ("AB vs CD", "CD vs AB")
    assert list(ace.get.pairs_df(adata)["group"]) == ["AB"]
    ace.tl.explain(adata, "cluster", groups=sets, reference=["CD", "E"], key_added="list")
    assert adata.uns["list"]["names"].dtype.names == ("AB",)
    assert adata.uns["list"]["params"]["sets"] == {"AB": ["A", "B"], "CD + E": ["C", "D", "E"]}


def test_a_single_group_is_a_list_of_one():
    adata = cells(["A", "B", "C"])
    ace.tl.explain(adata, "cluster", groups="B")
    ace.tl.explain(adata, "cluster", groups=["B"], key_added="list")
    assert adata.uns["ace"]["names"].dtype.names == ("B",)
    pd.testing.assert_frame_equal(adata.varm["ace_scores"], adata.varm["list_scores"])


def test_specificity_of_sets():
    adata = cells(["A", "B", "C"])
    ace.tl.rank_specificity(adata, "cluster", groups={"AC": ["A", "C"]})
    assert set(adata.uns["rank_specificity"]["names"]["AC"][:2]) == {"g0", "g2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": {}}, "groups is empty"),
        ({"groups": {"x": []}}, r"groups\['x'\] is empty"),
        ({"groups": {"x": ["A", "a"]}}, r"groups\['x'\]='a' is not one of"),
        ({"groups": {"x": ["A", "B"], "y": ["B"]}}, r"groups has \['B'\] in more than one set"),
        ({"groups": {"C": ["A", "B"]}}, "the set 'C' has the name of a group"),
        ({"groups": {"x": ["A", "B", "C"]}}, "nothing to compare it with"),
        ({"groups": 3}, "groups must be 'all', the name of a group or a list"),
        ({"groups": "a"}, "groups='a' is not one of"),
        ({"reference": []}, "reference is empty"),
        ({"reference": ["A", "rest"]}, "reference='rest' is not one of"),
        ({"reference": ["A", "B", "C"]}, "nothing to compare it with"),
        ({"reference": ["A", "B"], "groups": ["A"]}, "nothing to compare"),
        ({"reference": ["A"], "groups": {"x": ["A", "B"]}}, "reference='A' is not one of"),
    ],
)
def test_errors_change_nothing(arguments, message):
    adata = cells(["A", "B", "C"])
    with pytest.raises(ValueError, match=message):
        ace.tl.explain(adata, "cluster", **arguments)
    assert "ace" not in adata.uns


def test_results_of_sets_can_be_saved_and_drawn(survives_files):
    import scanpy as sc

    adata = cells(["A", "B", "C"])
    ace.tl.explain(adata, "cluster", groups={"A/B": ["A", "B"]}, reference=["C"])
    again = survives_files(adata, formats=["h5ad"])
    assert list(again.uns["ace"]["params"]["sets"]) == ["A|B"]
    (ax,) = sc.pl.rank_genes_groups(again, key="ace", show=False)
    assert ax.get_title() == "A/B vs. C"
    axes = sc.pl.rank_genes_groups_dotplot(
        again, key="ace", n_genes=2, dendrogram=False, show=False
    )
    drawn = [text.get_text() for text in axes["mainplot_ax"].get_xticklabels()]
    assert drawn == list(again.uns["ace"]["names"]["A/B"][:2])
    assert ace.pl.panels(again, show=False).get_title().startswith("A/B vs C\n1 gene: AUROC")
    ace.pl.heatmap(again, show=False)


# -- scorers with groups of their own ------------------------------------------------------------


class Softmax(GroupScorer):
    """Log-odds of a softmax of the first features."""

    def forward(self, x):
        z = x[:, : len(self.groups)]
        others = [z[:, [j for j in range(z.shape[1]) if j != i]] for i in range(z.shape[1])]
        return torch.stack([z[:, i] - o.logsumexp(1) for i, o in enumerate(others)], 1)


def test_probabilities_of_merged_groups_are_added():
    x = 3 * torch.randn(20, 4, dtype=torch.float64)
    scorer = Softmax(["a", "b", "c", "d"])
    merged = MergedGroups(scorer, ["ac", "b", "d"], [[0, 2], [1], [3]])(x)
    p = torch.softmax(x, 1)
    p = torch.stack([p[:, 0] + p[:, 2], p[:, 1], p[:, 3]], 1)
    torch.testing.assert_close(merged, torch.log(p / (1 - p)))
    # No overflow far from the border.
    assert torch.isfinite(MergedGroups(scorer, ["ac", "bd"], [[0, 2], [1, 3]])(1e4 * x)).all()


def test_a_scorer_with_groups_of_its_own():
    adata = cells(["A", "B", "C"])
    scorer = Softmax(["B", "C", "A"], feature_names=["g1", "g2", "g0"])
    ace.tl.explain(adata, "cluster", model=scorer, groups={"AC": ["A", "C"]})
    df = ace.get.explain_df(adata)
    assert set(df["gene"][:3]) == {"g0", "g1", "g2"}
    assert dict(zip(df["gene"][:3], df["enriched"][:3], strict=True)) == {
        "g0": True,
        "g1": False,
        "g2": True,
    }
    assert adata.uns["ace"]["params"]["scorer"] == "MergedGroups"
    assert adata.uns["ace"]["params"]["fidelity"] > 0.9


def test_sets_through_a_classifier(pbmc):
    chosen = ["CD14+ Monocyte", "CD19+ B", "Dendritic", "CD56+ NK"]
    adata = pbmc[pbmc.obs["bulk_labels"].isin(chosen)].copy()
    ace.model.KRATOS.setup_anndata(adata, labels_key="bulk_labels")
    model = ace.model.KRATOS(adata)
    model.train(max_epochs=20, enable_progress_bar=False)
    sets = {"myeloid": ["CD14+ Monocyte", "Dendritic"]}
    ace.tl.explain(adata, "bulk_labels", model=model, groups=sets)
    assert adata.uns["ace"]["params"]["fidelity"] > 0.9
    top = ace.get.explain_df(adata).query("rank <= 20 and enriched")["gene"]
    assert {"LYZ", "CST3", "TYROBP", "FCER1G", "S100A9", "FCN1", "LST1"} & set(top)


# -- the groups ----------------------------------------------------------------------------------


def test_merge_and_of_rows():
    groups = Groups("c", np.array([0, 1, 2, 3, -1, 1]), ["a", "b", "c", "d"])
    merged, new = merge(groups, {"bd": [1, 3]})
    assert merged.names == ["a", "bd", "c"]
    assert merged.codes.tolist() == [0, 1, 2, 1, -1, 1]
    assert new == [0, 1, 2, 1]
    assert merged.members == [[0], [1, 3], [2]]
    twice, _ = merge(merged, {"all but a": [1, 2]})
    assert twice.members == [[0], [1, 2, 3]]
    assert twice.sets == {"all but a": ["b", "c", "d"]}
    part, codes = merged.of_rows(np.array([2, 3, 4]))
    assert (part.names, part.codes.tolist(), codes) == (["bd", "c"], [1, 0, -1], {1: 0, 2: 1})
    assert part.members == [[1], [0]]
