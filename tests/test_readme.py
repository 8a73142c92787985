"""What the README shows must run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import scanpy as sc

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def _nothing_shown():
    # Not by monkeypatch: what holds scanpy's settings cannot be put back by deleting.
    before = sc.settings.autoshow
    sc.settings.autoshow = False
    yield
    sc.settings.autoshow = before


@pytest.mark.usefixtures("_nothing_shown")
@pytest.mark.filterwarnings("ignore:::lightning")  # of scVI's training, which we don't choose
@pytest.mark.filterwarnings("ignore:groups of fewer than")  # a rare label may go to few
def test_its_code_runs():
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 5

    namespace: dict = {}
    for block in blocks:
        exec(compile(block, README.name, "exec"), namespace)

    # The second block explains the model over the result of the first.
    adata = namespace["adata"]
    assert adata.uns["ace"]["params"]["groupby"] == "bulk_labels"
    assert adata.uns["ace"]["params"]["method"] == "expected_gradients"
    assert set(adata.uns["ace"]["names"].dtype.names) == set(adata.obs["bulk_labels"].unique())
    # The third explains an autoencoder and a model of counts beside it.
    assert set(adata.uns["ace_own"]["names"].dtype.names) == set(map(str, range(8)))
    assert adata.uns["ace_own"]["params"]["embedding"] == "ACE"
    assert adata.uns["ace_scvi"]["params"]["embedding"] == "SCVI"
    assert adata.uns["ace_scvi"]["params"]["fidelity"] > 0.9
    # The fourth gives cells the labels of others.
    query = namespace["query"]
    assert set(query.obs["scnym"]) <= set(namespace["atlas"].obs["bulk_labels"])
    assert query.uns["ace"]["params"]["embedding"] == "SCNYM"
    # The fifth listens to chosen genes.
    scores = adata.uns["fssf"]["pairs"]
    assert scores["fssf"].mean() > 0.3
    assert scores["random_mean"].mean() < -0.5
