"""Names of arguments in other packages are answered with the right name."""

from __future__ import annotations

import pytest

import ace


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("seed", "random_state"),
        ("key", "key_added"),
        ("n_top_genes", "n_genes"),
        ("group", "groups"),
        ("verbose", "progress"),
    ],
)
def test_aliases_in_explain(pbmc, name, right):
    with pytest.raises(TypeError, match=f"explain has no argument '{name}': use {right}="):
        ace.tl.explain(pbmc, "louvain", **{name: 1})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("seed", "random_state"),
        ("key", "key_added"),
        ("batch_key", "domain_key"),
        ("n_genes", "n_top_genes"),
        ("n_epochs", "max_epochs"),
        ("unlabelled_category", "unlabeled_category"),
    ],
)
def test_aliases_in_annotate(pbmc, name, right):
    with pytest.raises(TypeError, match=f"annotate has no argument '{name}': use {right}="):
        ace.tl.annotate(pbmc, "bulk_labels", **{name: 1})


def test_use_raw(pbmc):
    ace.tl.explain(pbmc, "louvain", use_raw=False, groups=["0"])
    assert "use_raw" not in pbmc.uns["ace"]["params"]["options"]
    for call in (ace.tl.explain, ace.tl.annotate, ace.tl.rank_specificity):
        with pytest.raises(ValueError, match=r"use_raw=True: .*adata\.raw\.to_adata\(\)"):
            call(pbmc, "louvain", use_raw=True)
