"""Warnings point to the line of the user, however deep in the package they arise."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING

import pytest

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


def _counts(pbmc: AnnData) -> AnnData:
    pbmc.X = pbmc.layers["counts"].copy()
    return pbmc


def _explain(adata: AnnData) -> None:
    ace.tl.explain(_counts(adata), "louvain")


def _rank_specificity(adata: AnnData) -> None:
    ace.tl.rank_specificity(_counts(adata), "louvain")


def _informative_genes(adata: AnnData) -> None:
    assert ace.tl.informative_genes(adata, "phase", within="bulk_labels", min_cells=25)


def _kratos(adata: AnnData) -> None:
    ace.model.KRATOS.setup_anndata(_counts(adata), labels_key="louvain")


def _scare(adata: AnnData) -> None:
    ace.model.SCARE.setup_anndata(adata)


def _unused(adata: AnnData) -> None:
    adata.obs["louvain"] = adata.obs["louvain"].cat.add_categories(["nobody"])
    ace.tl.explain(adata, "louvain")


@pytest.mark.parametrize(
    "call", [_explain, _rank_specificity, _informative_genes, _kratos, _scare, _unused]
)
def test_warning_points_to_the_call(pbmc: AnnData, call: Callable[[AnnData], None]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(pbmc)
    ours = [w for w in caught if w.category is UserWarning]
    assert ours
    first = inspect.getsourcelines(call)[1]
    lines = range(first, first + len(inspect.getsourcelines(call)[0]))
    for warning in ours:
        assert (warning.filename, warning.lineno in lines) == (__file__, True), warning
