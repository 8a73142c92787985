"""Subcluster founder scores as a data frame."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ace
from ace._keys import FssfKeys


def test_returns_a_copy() -> None:
    adata = ad.AnnData(np.ones((3, 2), dtype=np.float32))
    pairs = pd.DataFrame({"group": pd.Categorical(["T"]), "fssf": [0.5]})
    FssfKeys("own").write(
        adata,
        subcluster=pd.Categorical(["T:0", "T:1", None]),
        embedding=np.zeros((3, 2)),
        about={"params": {}, "pairs": pairs, "genes": pd.DataFrame({"gene": ["CD3D"]})},
    )
    df = ace.get.fssf_df(adata, key="own")
    pd.testing.assert_frame_equal(df, pairs)
    df["fssf"] = 0.0
    assert ace.get.fssf_df(adata, key="own")["fssf"].tolist() == [0.5]
    with pytest.raises(KeyError, match=r"scores in \['own'\]\. Compute them with ace\.tl"):
        ace.get.fssf_df(adata)
