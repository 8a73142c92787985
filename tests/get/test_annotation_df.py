from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ace
from ace._keys import AnnotationKeys


@pytest.fixture
def adata() -> ad.AnnData:
    """Four cells, two of them with given labels."""
    adata = ad.AnnData(
        np.zeros((4, 1), dtype=np.float32),
        obs=pd.DataFrame({"known": ["B", "Unknown", None, "T"]}, index=list("wxyz")),
    )
    keys = AnnotationKeys("mine")
    written = keys.write(
        adata,
        columns={
            keys.label: pd.Categorical(["B", "T", "B", "T"]),
            keys.given: np.array([True, False, False, True]),
            keys.confidence: np.array([0.9, 0.8, 0.3, 0.6], dtype=np.float32),
            keys.novelty: np.array([0.0, 0.1, 0.9, 0.2], dtype=np.float32),
            keys.novel: np.array([False, False, True, False]),
            keys.majority: pd.Categorical(["B", "T", "T", "T"]),
        },
        probabilities=pd.DataFrame(0.5, index=adata.obs_names, columns=["B/plasma", 3]),
        embedding=np.ones((4, 2), dtype=np.float32),
        about={
            "params": {
                "labels_key": "known",
                "reference": False,
                "unlabeled_category": "Unknown",
            },
            "novelty_threshold": 0.5,
        },
    )
    assert written == [
        ".obs['mine']",
        ".obs['mine_given']",
        ".obs['mine_confidence']",
        ".obs['mine_novelty']",
        ".obs['mine_novel']",
        ".obs['mine_majority']",
        ".obsm['mine_probabilities']",
        ".obsm['X_mine']",
        ".uns['mine']",
    ]
    return adata


def test_one_row_per_cell(adata):
    df = ace.get.annotation_df(adata, key="mine")
    expected = pd.DataFrame(
        {
            "label": pd.Categorical(["B", "T", "B", "T"]),
            "given": [True, False, False, True],
            "confidence": np.array([0.9, 0.8, 0.3, 0.6], dtype=np.float32),
            "novelty": np.array([0.0, 0.1, 0.9, 0.2], dtype=np.float32),
            "novel": [False, False, True, False],
            "majority": pd.Categorical(["B", "T", "T", "T"]),
        },
        index=list("wxyz"),
    )
    pd.testing.assert_frame_equal(df, expected)
    assert list(adata.obsm["mine_probabilities"].columns) == ["B|plasma", "3"]


def test_subset_of_cells(adata):
    df = ace.get.annotation_df(adata[["z", "w"]], key="mine")
    assert list(df.index) == ["z", "w"]


def test_error_names_the_call_to_run(adata):
    with pytest.raises(KeyError, match=r"no annotation.*there: \['mine'\].*ace\.tl\.annotate\("):
        ace.get.annotation_df(adata)
    del adata.obs["mine"]
    with pytest.raises(KeyError, match=r"adata\.obs\['mine'\].*key_added='mine'"):
        ace.get.annotation_df(adata, key="mine")
