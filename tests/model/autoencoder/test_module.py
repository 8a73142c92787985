"""The terms of the loss, compared with values computed by hand."""

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS

from ace.model.autoencoder import AceModule
from ace.model.autoencoder._plan import AceTrainingPlan
from ace.nn import batch_discrepancy


@pytest.fixture
def module():
    torch.manual_seed(0)
    module = AceModule(5, n_latent=2, n_hidden=(8, 4), n_batches=2).eval()
    module.set_scale(
        np.array([1.0, 0, 0, 0, 2], np.float32),
        np.array([2.0, 1, 1, 0, 1], np.float32),  # the fourth gene is constant
    )
    module.set_moments(
        np.array([[0.5, 0, 0, 0, 0], [-0.5, 0, 0, 0, 0]], np.float32),
        np.array([4.0, 1, 1, 0, 1]),
    )
    return module


@pytest.fixture
def x():
    return torch.rand(6, 5)


def _scaled(x):
    return (x - torch.tensor([1.0, 0, 0, 0, 2])) * torch.tensor([2.0, 1, 1, 0, 1])


def test_embedding_scales_its_input(module, x):
    torch.testing.assert_close(module.embed(x), module.encoder(_scaled(x)))


def test_reconstruction_loss_is_a_share_of_the_variance(module, x):
    terms = module.loss_terms(x)
    error = (module.decoder(module.embed(x)) - _scaled(x)).square().sum(1).mean()
    assert set(terms) == {"reconstruction"}
    torch.testing.assert_close(terms["reconstruction"], error / 7)


def test_decoder_does_not_reconstruct_batch_means(module, x):
    batch = torch.tensor([0, 1, 0, 1, 0, 1])
    terms = module.loss_terms(x, batch=batch)
    target = _scaled(x)
    target[:, 0] -= torch.tensor([0.5, -0.5])[batch]
    error = (module.decoder(module.embed(x)) - target).square().sum(1).mean()
    torch.testing.assert_close(terms["reconstruction"], error / 7)
    torch.testing.assert_close(terms["batch"], batch_discrepancy(module.embed(x), batch))


def test_cluster_term_is_the_share_of_variance_within_clusters(module, x):
    z = module.embed(x)
    centroids = z[:2].detach() + 0.01
    cluster = torch.tensor([0, 1, 1, 0, -1, -1])
    term = module.loss_terms(x, centroids=centroids, cluster=cluster)["cluster"]
    own = z[:4]
    expected = (own - centroids[cluster[:4]]).square().sum() / (own - own.mean(0)).square().sum()
    torch.testing.assert_close(term, expected)
    nearest = torch.cdist(z, centroids).argmin(1)
    torch.testing.assert_close(
        module.loss_terms(x, centroids=centroids)["cluster"],
        module.loss_terms(x, centroids=centroids, cluster=nearest)["cluster"],
    )


@pytest.mark.parametrize("n_cells", [1, 2])
def test_variance_of_identical_cells_has_a_lower_bound(module, x, n_cells):
    """Without it, distances in a cluster of identical cells would be divided by 0."""
    same = x[:1].repeat(n_cells, 1)
    centroids = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])
    term = module.loss_terms(same, centroids=centroids)["cluster"]
    nearest = torch.cdist(module.embed(same), centroids).min(1).values[0] ** 2
    torch.testing.assert_close(term, nearest / 2 / (0.1 * 2.0), rtol=1e-4, atol=1e-6)


def test_reconstruction_has_the_units_of_the_input(module, x):
    scaled = module.decoder(module.embed(x))
    found = module.reconstruct(x)
    torch.testing.assert_close(found[:, 0], scaled[:, 0] / 2 + 1)
    torch.testing.assert_close(found[:, 3], torch.zeros(6))  # the constant value
    torch.testing.assert_close(found[:, 4], scaled[:, 4] + 2)


def test_regularisers_by_hand(module, x, monkeypatch):
    terms = module.loss_terms(x, regularise=True)
    code = module.decoder[:2](module.embed(x))
    share = code.clamp_min(0).sum(0) / code.clamp_min(0).sum()
    share = share[share > 0]
    torch.testing.assert_close(terms["id"], -(share * share.log()).sum() / np.log(4))
    units = code > 0.5 * code.max()
    reconstructed = module.decoder(module.embed(x)) / 7**0.5
    pairs = [
        (reconstructed[i] - reconstructed[j]).square().sum()
        for i in range(6)
        for j in range(6)
        if torch.equal(units[i], units[j])
    ]
    torch.testing.assert_close(terms["distance"], torch.stack(pairs).mean())


def test_gradients_of_the_regularisers_are_finite(module, x):
    terms = module.loss_terms(torch.cat([x, x]), regularise=True)
    (terms["id"] + terms["distance"]).backward()
    assert all(torch.isfinite(p.grad).all() for p in module.decoder.parameters())


def test_genes_are_masked_before_the_selection():
    module = AceModule(50, n_latent=2, n_hidden=(4,), n_selected=3, dropout_rate=0.5)
    with torch.no_grad():
        module.selector.logits.zero_()
        module.selector.logits[:, 7] = 50  # all select gene 7
    module.selector.progress = 1.0
    read = []
    module.encoder.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    module.train()._encode(torch.ones(200, 50))
    assert ((read[0] == 0).all(1) | (read[0] != 0).all(1)).all()
    assert 60 < (read[0][:, 0] == 0).sum() < 140


@pytest.mark.parametrize("left_out", [None, "batch", "id"])
def test_loss_is_the_weighted_sum_of_the_terms(module, x, left_out):
    weights = {"batch": 0.5, "cluster": 2.0, "id": 0.25, "distance": 3.0}
    weights |= {} if left_out is None else {left_out: 0.0}
    batch = torch.tensor([0, 1, 0, 1, 0, 1])
    centroids, cluster = torch.randn(2, 2), torch.tensor([0, 0, 1, -1, 1, 0])
    plan = AceTrainingPlan(module, weights, recluster=lambda _: None)
    plan._targets = centroids, cluster
    n_cells, found = plan.step(
        {
            REGISTRY_KEYS.X_KEY: x,
            REGISTRY_KEYS.BATCH_KEY: batch,
            REGISTRY_KEYS.INDICES_KEY: torch.arange(6),
        }
    )
    terms = module.loss_terms(
        x,
        batch=None if left_out == "batch" else batch,
        centroids=centroids,
        cluster=cluster,
        regularise=True,
    )
    assert n_cells == 6
    assert ("batch" in found) == (left_out != "batch")
    weighted = sum(weights.get(name, 1.0) * term for name, term in terms.items())
    torch.testing.assert_close(found["loss"], weighted)
