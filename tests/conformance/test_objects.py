"""Models do not depend on the type of object; results are written to the requested keys."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import mudata
import numpy as np
import pytest
from scipy import sparse
from tests.fuzz._judge import changes, snapshot

import ace

if TYPE_CHECKING:
    from anndata import AnnData
    from tests.conformance.conftest import ModelCase


def _in_mudata(adata: AnnData) -> mudata.MuData:
    """Return a MuData with the cells as one of two modalities."""
    protein = ad.AnnData(sparse.csr_matrix((adata.n_obs, 3), dtype=np.float32))
    protein.obs_names, protein.var_names = adata.obs_names, ["P1", "P2", "P3"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what columns it will copy in future
        return mudata.MuData({"rna": adata.copy(), "protein": protein})


@pytest.fixture(scope="session")
def model_of_mudata(case: ModelCase, _cells: AnnData) -> Any:
    """A model that was set up with a MuData and trained."""
    places = dict.fromkeys(["layer", *case.setup], "rna")
    mdata = _in_mudata(_cells)
    case.cls.setup_mudata(mdata, modalities=places, **case.setup)
    model = case.cls(mdata, **case.init | {"random_state": 0})
    case.fit(model)
    return model


def test_mudata_gives_the_same_model(
    case: ModelCase, model: Any, model_of_mudata: Any, query: AnnData
) -> None:
    np.testing.assert_array_equal(case.outputs(model_of_mudata), case.outputs(model))
    np.testing.assert_array_equal(case.outputs(model_of_mudata, query), case.outputs(model, query))
    np.testing.assert_array_equal(
        case.outputs(model_of_mudata, _in_mudata(query)), case.outputs(model, query)
    )


@pytest.mark.filterwarnings("ignore:the scorer assigns only")  # of so few epochs
def test_explanation_of_a_mudata_model_is_the_same(
    case: ModelCase, model: Any, model_of_mudata: Any, adata: AnnData
) -> None:
    for name, used in (("one", model), ("other", model_of_mudata)):
        ace.tl.explain(
            adata, "bulk_labels", model=used, method="saliency", n_cells=30, key_added=name
        )
    np.testing.assert_array_equal(adata.varm["one_scores"], adata.varm["other_scores"])
    assert adata.uns["one"]["params"] == adata.uns["other"]["params"]


@pytest.mark.filterwarnings("ignore:there are only")
@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_only_key_added_is_written(model: Any, adata: AnnData) -> None:
    before = snapshot(adata)
    ace.tl.explain(adata, "bulk_labels", model=model, method="saliency", n_cells=30)
    ace.tl.explain(
        adata,
        "bulk_labels",
        model=model,
        method="saliency",
        n_cells=30,
        per_cell=True,
        key_added="mine",
    )
    written = {"uns/ace", "varm/ace_scores", "uns/mine", "varm/mine_scores", "layers/mine_cells"}
    found = changes(before, adata, ("obs/mine_explained",))
    assert set(found) == {f"{place} appeared" for place in written}
    assert adata.obs["mine_explained"].any()
    np.testing.assert_array_equal(adata.varm["mine_scores"], adata.varm["ace_scores"])
    del adata.uns["ace"], adata.varm["ace_scores"]
    ace.tl.fssf(
        adata,
        "bulk_labels",
        list(model.var_names[:5]),
        model=model,
        n_random=0,
        key_added="founder",
    )
    written = {"uns/mine", "varm/mine_scores", "layers/mine_cells", "uns/founder"}
    written |= {"obsm/X_founder"}
    found = changes(before, adata, ("obs/founder_subcluster", "obs/mine_explained"))
    assert set(found) == {f"{place} appeared" for place in written}
    assert "founder_subcluster" in adata.obs


def test_query_training_starts_from_the_reference(
    case: ModelCase, model: Any, adata: AnnData
) -> None:
    if not hasattr(case.cls, "load_query_data"):
        pytest.skip("this model has no load_query_data()")
    reference = {name: value.clone() for name, value in model.module.state_dict().items()}
    query = adata[::3, ::-1].copy()  # cells of every batch
    expected = case.outputs(model, query)
    before = snapshot(query)
    made = case.cls.load_query_data(query, model)
    assert made.adata is query
    assert not changes(before, query, ("obs/_scvi", "uns/_scvi", "obsm/_scvi"))
    made.is_trained_ = True  # before training, its outputs equal those of the reference
    np.testing.assert_allclose(case.outputs(made), expected, rtol=1e-5, atol=1e-6)
    case.fit(made, max_epochs=2)
    assert np.isfinite(case.outputs(made)).all()
    assert not np.allclose(case.outputs(made), expected, rtol=1e-5, atol=1e-6)
    for name, value in model.module.state_dict().items():
        assert bool((value == reference[name]).all()), name
    np.testing.assert_array_equal(case.outputs(model, query), expected)


def test_query_with_missing_genes_is_an_error(case: ModelCase, model: Any, adata: AnnData) -> None:
    if not hasattr(case.cls, "load_query_data"):
        pytest.skip("this model has no load_query_data()")
    query = adata[:90, 2:].copy()
    before = snapshot(query)
    with pytest.raises(ValueError, match="2 of the 765 genes"):
        case.cls.load_query_data(query, model)
    assert not changes(before, query)
