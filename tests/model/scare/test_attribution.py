"""Attributions computed by hand, and gradients of their loss by finite differences."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS

from ace._threads import seeded
from ace.model.scare import _attribution as attribution
from ace.model.scare._ground_truth import Genes
from ace.model.scare._loss import ALL_DIMENSIONS, AttributionLoss, AttributionSettings, Term
from ace.model.scare._plan import ScareTrainingPlan

if TYPE_CHECKING:
    from ace.model.scare import ScareModule

Tensors = dict[str, torch.Tensor]
TRUTH = np.array([[1.0, 0, 0, 1, 0, 0]])


def _settings(**changes: Any) -> AttributionSettings:
    return AttributionSettings(
        **{
            "kind": "expected_gradients",
            "target": "encoder_sum",
            "transform": "abs_minmax",
            "reference": "minibatch",
        }
        | changes
    )


def _loss(settings: AttributionSettings, loss: str = "share", **term: Any) -> AttributionLoss:
    genes = Genes(TRUTH).double()
    parts = {"name": "0", "genes": genes, "weight": 1.0, "dimensions": ALL_DIMENSIONS} | term
    return AttributionLoss(settings, [Term(loss=loss, **parts)])


@pytest.mark.parametrize("kind", attribution.ATTRIBUTIONS)
@pytest.mark.parametrize(
    ("transform", "loss"), list(itertools.product(attribution.TRANSFORMS, attribution.LOSSES))
)
def test_gradient_is_that_of_finite_differences(
    network: ScareModule, tensors: Tensors, kind: str, transform: str, loss: str
) -> None:
    criterion = _loss(_settings(kind=kind, transform=transform), loss)

    def value(*, create_graph: bool) -> torch.Tensor:
        with seeded(3):  # the same references and points at each call
            return criterion(network, tensors, create_graph=create_graph)["attribution"]

    _compare_with_finite_differences(network, value)


@pytest.mark.parametrize("kind", attribution.ATTRIBUTIONS)
@pytest.mark.parametrize("target", ["random_projection", "encoder_norm", "decoder_sum"])
def test_gradient_of_every_target(
    network: ScareModule, tensors: Tensors, kind: str, target: str
) -> None:
    criterion = _loss(_settings(kind=kind, target=target), "mse")

    def value(*, create_graph: bool) -> torch.Tensor:
        with seeded(3):
            return criterion(network, tensors, create_graph=create_graph)["attribution"]

    _compare_with_finite_differences(network, value)


def _compare_with_finite_differences(network: ScareModule, value: Any) -> None:
    value(create_graph=True).backward()
    step, checked = 1e-6, 0
    for name, parameter in network.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            continue
        flat, gradient = parameter.detach().view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 3):
            kept = flat[i].item()
            flat[i] = kept + step
            above = value(create_graph=False).item()
            flat[i] = kept - step
            below = value(create_graph=False).item()
            flat[i] = kept
            numeric = (above - below) / (2 * step)
            assert gradient[i].item() == pytest.approx(numeric, rel=1e-3, abs=1e-8), name
            checked += 1
    assert checked > 10


def test_expected_gradients_of_a_linear_function() -> None:
    x = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 5.0]])
    slopes = torch.tensor([2.0, -1.0, 0.5])
    points, difference = attribution.paths(x, "expected_gradients", x[[1, 0]])
    found = attribution.attribute(points, difference, lambda p: p @ slopes, create_graph=False)
    torch.testing.assert_close(found, (x - x[[1, 0]]) * slopes)


def test_integrated_gradients_sum_to_the_difference(
    network: ScareModule, tensors: Tensors
) -> None:
    x = torch.log1p(tensors[REGISTRY_KEYS.X_KEY])
    batch = tensors[REGISTRY_KEYS.BATCH_KEY]

    def scalar(p: torch.Tensor) -> torch.Tensor:
        return network.encode(p, batch).square().sum(1)

    points, difference = attribution.paths(x, "integrated_gradients", None, n_steps=2000)
    found = attribution.attribute(points, difference, scalar, create_graph=False)
    expected = scalar(x) - scalar(torch.zeros_like(x))
    torch.testing.assert_close(found.sum(1), expected.detach(), rtol=2e-3, atol=2e-3)


def test_distance_is_divided_among_the_genes(network: ScareModule, tensors: Tensors) -> None:
    """Averaged over points on the path, attributions sum to the latent distance."""
    settings = _settings(target="distance", reference="label")
    x = torch.log1p(tensors[REGISTRY_KEYS.X_KEY])[2:4]  # the two cells of label 1
    two = {key: value[2:4] for key, value in tensors.items()}
    two[REGISTRY_KEYS.BATCH_KEY] = torch.zeros(2, 1, dtype=torch.long)
    draws = torch.zeros_like(x)
    with seeded(0):
        for _ in range(4000):
            draws += settings.attributions(network, two)
    z = network.encode(x, two[REGISTRY_KEYS.BATCH_KEY]).detach()
    distance = (z[0] - z[1]).norm()
    torch.testing.assert_close((draws / 4000).sum(1), distance.expand(2), rtol=0.02, atol=0)


def test_transforms_by_hand() -> None:
    a = torch.tensor([[-4.0, 1.0, 0.0, 3.0]])
    torch.testing.assert_close(
        attribution.transformed(a, "abs_minmax"), torch.tensor([[1, 0.25, 0, 0.75]])
    )
    torch.testing.assert_close(
        attribution.transformed(a, "abs_share"), torch.tensor([[0.5, 0.125, 0, 0.375]])
    )
    torch.testing.assert_close(attribution.transformed(a, "sigmoid"), torch.sigmoid(a))


@pytest.mark.parametrize("transform", attribution.TRANSFORMS)
def test_losses_are_finite_without_attribution(transform: str) -> None:
    values = attribution.transformed(torch.zeros(2, 4), transform)
    assert torch.isfinite(values).all()
    for loss in attribution.LOSSES:
        assert torch.isfinite(attribution.discrepancy(values, torch.ones(1, 4), loss)).all()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", (0.25 + 0.0625 + 0 + 1) / 4),
        ("mae", (0.5 + 0.25 + 0 + 1) / 4),
        ("excess", (0.25 + 1) / 4),  # attribution below the ground truth costs nothing
        ("share", 1 - 0.5 / 1.75),
    ],
)
def test_losses_by_hand(loss: str, expected: float) -> None:
    values, truth = torch.tensor([[0.5, 0.25, 0, 1]]), torch.tensor([[1.0, 0, 0, 0]])
    assert attribution.discrepancy(values, truth, loss).item() == pytest.approx(expected)


def test_references_are_other_cells() -> None:
    x, cells = torch.zeros(20, 2), torch.arange(20)
    labels = cells % 3
    z = (labels * 100.0 + torch.linspace(0, 1, 20))[:, None]
    for _ in range(20):
        assert (attribution.partners("minibatch", x, None, labels) != cells).all()
        by_label = attribution.partners("label", x, None, labels)
        assert (by_label != cells).all()
        assert (labels[by_label] == labels).all()
        near = attribution.partners("neighbor", x, z, labels)
        assert (near != cells).all()


def test_neighbours_are_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "N_NEIGHBORS", 2)
    z = torch.tensor([0.0, 1, 2, 10, 11, 12])[:, None]
    found = {
        (cell, int(partner))
        for _ in range(60)
        for cell, partner in enumerate(
            attribution.partners("neighbor", z, z, torch.zeros(6, dtype=torch.long))
        )
    }
    side = [{0, 1, 2}, {3, 4, 5}]
    assert found == {(i, j) for s in side for i in s for j in s if i != j}


def test_cell_without_another_of_its_label_is_its_own_reference() -> None:
    labels = torch.tensor([0, 0, 1])
    assert attribution.partners("label", torch.zeros(3, 1), None, labels).tolist() == [1, 0, 2]
    assert attribution.partners("minibatch", torch.zeros(1, 1), None, labels[:1]).tolist() == [0]


def test_cells_of_unknown_type_are_compared_with_their_neighbours(
    network: ScareModule, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells with an unknown label do not share a label."""
    monkeypatch.setattr(attribution, "N_NEIGHBORS", 1)
    x = torch.log1p(tensors[REGISTRY_KEYS.X_KEY])
    x[1] = x[0] + 0.01  # 0 and 4 have unknown labels; 1 is nearest to 0, and 3 to 4
    x[3] = x[4] + 0.01
    labels = torch.tensor([[-1], [0], [0], [1], [-1]])
    tensors = tensors | {
        REGISTRY_KEYS.LABELS_KEY: labels,
        REGISTRY_KEYS.BATCH_KEY: torch.zeros(5, 1, dtype=torch.long),
    }
    settings = _settings(kind="expected_gradients", reference="label")
    found = settings._references(network, x, tensors)
    torch.testing.assert_close(found, x[[1, 2, 1, 3, 3]])  # 3 is the only cell of its type


def test_attribution_does_not_change_batch_normalisation(
    network: ScareModule, tensors: Tensors
) -> None:
    network.train()
    before = copy.deepcopy(network.state_dict())
    with seeded(0):
        found = _loss(_settings())(network, tensors, create_graph=True)["attribution"]
        network.eval()
    with seeded(0):
        again = _loss(_settings())(network, tensors, create_graph=True)["attribution"]
    torch.testing.assert_close(found, again)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_cells_do_not_depend_on_each_other(network: ScareModule, tensors: Tensors) -> None:
    network.train()
    settings = _settings(kind="integrated_gradients")
    whole = settings.attributions(network, tensors)
    one = settings.attributions(network, {key: value[3:4] for key, value in tensors.items()})
    torch.testing.assert_close(whole[3:4], one)


def test_attributions_of_single_dimensions_add_up(network: ScareModule, tensors: Tensors) -> None:
    settings = _settings(kind="integrated_gradients", target="encoder_sum")
    parts = [settings.attributions(network, tensors, slice(i, i + 1)) for i in range(3)]
    torch.testing.assert_close(sum(parts), settings.attributions(network, tensors))
    torch.testing.assert_close(settings.of_dimension(1).attributions(network, tensors), parts[1])


def test_terms_are_weighted_and_combined(network: ScareModule, tensors: Tensors) -> None:
    settings = _settings(kind="integrated_gradients", transform="abs_share")
    first = Term("a", Genes(TRUTH).double(), 2.0, "share", ALL_DIMENSIONS)
    second = Term("b", Genes(1 - TRUTH).double(), 0.5, "mae", ALL_DIMENSIONS)
    for combine, power in (("sum", 1), ("square_sum", 2)):
        found = AttributionLoss(settings, [first, second], combine)(
            network, tensors, create_graph=False
        )
        a, b = found["attribution_a"], found["attribution_b"]
        torch.testing.assert_close(found["attribution"], 2 * a**power + 0.5 * b**power)
        torch.testing.assert_close(a, 1 - found["share_a"])
        torch.testing.assert_close(found["share_a"] + found["share_b"], torch.ones_like(a))


def test_uncovered_cells_are_ignored(network: ScareModule, tensors: Tensors) -> None:
    settings = _settings(kind="integrated_gradients")
    by_label = Genes(TRUTH, np.array([0, -1])).double()  # label 1 is not covered
    found = _loss(settings, genes=by_label)(network, tensors, create_graph=False)
    chosen = {key: value[[0, 1, 4]] for key, value in tensors.items()}
    expected = _loss(settings)(network, chosen, create_graph=False)
    torch.testing.assert_close(found["share_0"], expected["share_0"])
    torch.testing.assert_close(found["attribution"], expected["attribution"])


def test_cells_without_genes_or_attribution_are_ignored(
    network: ScareModule, tensors: Tensors
) -> None:
    """The share is undefined for cells without genes, and for cells without attribution."""
    both = np.concatenate([TRUTH, np.zeros_like(TRUTH)])
    genes = Genes(both, np.array([0, 1])).double()  # label 1 has no genes
    settings = _settings(kind="integrated_gradients", transform="abs_share")
    criterion = _loss(settings, "share", genes=genes)
    found = criterion(network, tensors, create_graph=False)
    alone = _loss(settings, "share", genes=Genes(TRUTH, np.array([0, -1])).double())
    assert found["attribution_0"] == alone(network, tensors, create_graph=False)["attribution_0"]
    assert criterion.n_counted["attribution_0"] == 3
    # The only cell of a type is its own reference, so its attributions are 0.
    tensors = tensors | {REGISTRY_KEYS.LABELS_KEY: torch.tensor([[0], [0], [0], [0], [1]])}
    criterion = _loss(_settings(reference="label"), "mse")
    found = criterion(network, tensors, create_graph=False)
    assert criterion.n_counted == {"attribution_0": 5, "share_0": 4}
    assert 0 < found["share_0"] <= 1


def test_no_cell_is_its_own_reference() -> None:
    x, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)
    z = torch.tensor([[0.0], [1.0], [3.0]])
    for seed in range(30):
        torch.manual_seed(seed)
        for reference in ("minibatch", "label", "neighbor"):
            found = attribution.partners(reference, x, z, labels)
            assert (found != torch.arange(3)).all(), reference


@pytest.mark.parametrize("epoch", [0, 1, 3, 4, 9])
def test_weights_increase_during_the_warmup(
    network: ScareModule, tensors: Tensors, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    """The divergence is added gradually, the attribution loss at once."""
    criterion = _loss(_settings(kind="integrated_gradients"))
    plan = ScareTrainingPlan(
        network,
        criterion,
        attribution_weight=3.0,
        attribution_warmup_epochs=2,
        kl_weight=0.5,
        kl_warmup_epochs=4,
    )
    monkeypatch.setattr(ScareTrainingPlan, "current_epoch", epoch)
    torch.manual_seed(0)
    _, found = plan.step(tensors)
    expected = found["reconstruction"] + 0.5 * min(epoch / 4, 1) * found["kl"]
    expected = expected + 3.0 * (epoch >= 2) * found["attribution"]
    torch.testing.assert_close(found["loss"].detach(), expected.detach())
