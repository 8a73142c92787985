"""MixMatch, ramps and the teacher, compared with computations by hand on a tiny network."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS
from torch.nn import functional as F

from ace.model.scnym import PRESETS, Recipe, ScnymModule, ScnymTrainingPlan
from ace.model.scnym._plan import DOMAINS_KEY, mix_up, sigmoid_ramp
from ace.model.scnym._recipe import recipe_of


def _network(**kwargs: object) -> ScnymModule:
    torch.manual_seed(0)
    return ScnymModule(4, 3, [2], n_hidden=5, n_layers=2, dropout_rate=0.0, **kwargs)


def _batch(n: int = 6, n_unlabelled: int = 8) -> dict[str, torch.Tensor]:
    labels = torch.tensor([i % 3 for i in range(n)] + [-1] * n_unlabelled)
    return {
        REGISTRY_KEYS.X_KEY: torch.randn(n + n_unlabelled, 4),
        REGISTRY_KEYS.LABELS_KEY: labels,
        DOMAINS_KEY: (labels < 0).long()[:, None],
    }


def _plan(network: ScnymModule, n_epochs: int = 10, **recipe: object) -> ScnymTrainingPlan:
    plan = ScnymTrainingPlan(network, Recipe(**recipe), n_epochs=n_epochs, n_steps=5)
    plan.trainer = SimpleNamespace(optimizers=[])
    return plan.train()


def test_mixtures_keep_the_dominant_cell() -> None:
    torch.manual_seed(0)
    x = torch.eye(200)
    y = torch.arange(200.0)[:, None]
    mixed, targets = mix_up(x, y, alpha=0.3)
    own = mixed.diagonal()
    assert (own >= 0.5 - 1e-6).all()
    assert own.min() < 0.6  # in some, the weights are almost equal
    torch.testing.assert_close(mixed.sum(1), torch.ones(200))
    torch.testing.assert_close(
        targets, mixed @ y
    )  # cells and targets are mixed with the same weights
    # λ' = max(λ, 1 - λ), λ ~ Beta(0.3, 0.3): the mean is about 0.85
    reference = np.random.default_rng(0).beta(0.3, 0.3, 100_000)
    share = np.maximum(reference, 1 - reference).mean()
    assert float(own.mean()) == pytest.approx(share, abs=0.03)


def test_ramp() -> None:
    assert sigmoid_ramp(0.0) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(0.5) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp(1.0) == sigmoid_ramp(3.0) == 1.0


@pytest.mark.parametrize(("epochs", "expected"), [(4, 0.5), (None, 0.2), (0, None), (1, None)])
def test_ramp_depends_on_the_epoch(epochs: int | None, expected: float | None) -> None:
    plan = _plan(_network(), ssl_ramp_epochs=epochs)
    plan._steps_done = 10  # two epochs of ten
    assert plan._ramp(epochs) == (1.0 if expected is None else sigmoid_ramp(expected))


def test_loss_is_that_of_the_paper() -> None:
    """Equal to a direct implementation of Algorithm 1 with the same random numbers."""
    network = _network(normalization="layer")
    plan = _plan(
        network,
        teacher_decay=None,
        confidence_threshold=0.0,
        adversary_weight=0.1,
        ssl_ramp_epochs=0,
        adversary_ramp_epochs=0,
    )
    batch = _batch()
    x, labels = batch[REGISTRY_KEYS.X_KEY], batch[REGISTRY_KEYS.LABELS_KEY]
    torch.manual_seed(1)
    n_cells, terms = plan.step(batch)
    assert n_cells == 14

    torch.manual_seed(1)
    with torch.no_grad():
        p = torch.softmax(network.classifier(network.encoder(x[6:])), 1)
    targets = torch.cat([F.one_hot(labels[:6], 3).float(), p**2 / (p**2).sum(1, keepdim=True)])
    mixed, mixed_targets = mix_up(x, targets, 0.3)
    logits = network.classifier(network.encoder(mixed))
    supervised = -(mixed_targets * torch.log_softmax(logits, 1))[:6].sum(1).mean()
    error = ((torch.softmax(logits, 1) - mixed_targets)[6:] ** 2).sum(1).mean()
    domains = torch.tensor([0] * 6 + [1] * 8)
    adversary = F.cross_entropy(network.adversaries[0](network.encoder(x)), domains)
    torch.testing.assert_close(terms["supervised"], supervised)
    torch.testing.assert_close(terms["unsupervised"], error)
    torch.testing.assert_close(terms["adversary"], adversary)
    torch.testing.assert_close(terms["loss"], supervised + error + adversary)
    # the encoder gets the adversary's gradient with the weight -0.1
    weight = network.encoder[0].body[0].weight
    (got,) = torch.autograd.grad(terms["adversary"], [weight], retain_graph=True)
    (plain,) = torch.autograd.grad(adversary, [weight])
    torch.testing.assert_close(got, -0.1 * plain)


def test_weights_of_a_step_rise_with_the_ramps() -> None:
    """Each ramp changes the weight of its own term of the loss only."""
    batch = _batch()

    def terms(steps_done: int, **ramps: int) -> dict[str, torch.Tensor]:
        recipe = {"ssl_ramp_epochs": 0, "adversary_ramp_epochs": 0, "ssl_weight": 0.7} | ramps
        plan = _plan(
            _network(normalization="layer"),
            confidence_threshold=0.0,
            teacher_decay=None,
            adversary_weight=0.2,
            **recipe,
        )
        plan._steps_done = steps_done
        torch.manual_seed(1)
        found = plan.step(batch)[1]
        (gradient,) = torch.autograd.grad(
            found["adversary"], [plan.module.encoder[0].body[0].weight], retain_graph=True
        )
        return {name: value.detach() for name, value in found.items()} | {"pull": gradient}

    full, half = terms(0), sigmoid_ramp(0.5)  # 10 of 4 * 5 steps
    rising = terms(10, ssl_ramp_epochs=4)
    torch.testing.assert_close(rising["unsupervised"], half * full["unsupervised"])
    torch.testing.assert_close(rising["supervised"], full["supervised"])
    torch.testing.assert_close(rising["pull"], full["pull"])
    rising = terms(10, adversary_ramp_epochs=4)
    torch.testing.assert_close(rising["unsupervised"], full["unsupervised"])
    torch.testing.assert_close(rising["adversary"], full["adversary"])
    torch.testing.assert_close(rising["pull"], half * full["pull"])


def test_pseudolabels_of_low_confidence_are_left_out() -> None:
    network = _network(normalization="layer")
    batch = _batch()
    with torch.no_grad():
        p = torch.softmax(network.classify(batch[REGISTRY_KEYS.X_KEY][6:]), 1).amax(1)
    threshold = float(p.sort().values[3:5].mean())  # half of the eight are above the threshold
    seen: list[int] = []
    network.adversaries[0].register_forward_pre_hook(lambda _, z: seen.append(len(z[0])))
    for only in (False, True):
        plan = _plan(network, confidence_threshold=threshold, adversary_confident_only=only)
        _, terms = plan.step(batch)
        assert float(terms["confident"]) == 0.5
    assert seen == [14, 10]  # the adversary gets all cells, or the labelled and the confident ones
    _, terms = _plan(network, confidence_threshold=0.9999).step(batch)
    assert "unsupervised" not in terms
    assert torch.isfinite(terms["loss"])


def test_domains_of_the_adversary_match_its_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, batch = _network(normalization="layer"), _batch()
    batch[DOMAINS_KEY] = torch.arange(14)[:, None]
    with torch.no_grad():
        p = torch.softmax(network.classify(batch[REGISTRY_KEYS.X_KEY][6:]), 1).amax(1)
    threshold = float(p.sort().values[4:6].mean())  # three of the eight are above the threshold
    told: list[torch.Tensor] = []

    def loss(z: torch.Tensor, domains: torch.Tensor, weight: float) -> torch.Tensor:
        assert len(z) == len(domains)
        told.append(domains[:, 0])
        return z.sum() * weight

    monkeypatch.setattr(network, "adversarial_loss", loss)
    plan = _plan(network, confidence_threshold=threshold, adversary_confident_only=True)
    plan.step(batch)
    sure = torch.nonzero(p >= threshold).flatten() + 6
    assert told[0].tolist() == [*range(6), *sure.tolist()]


def test_minibatch_without_confident_pseudolabels() -> None:
    """A minibatch of unlabelled cells that are all below the threshold is not an error."""
    plan = _plan(_network(), confidence_threshold=0.9999, adversary_weight=0.0)
    _, terms = plan.step(_batch(n=0))
    assert float(terms["loss"].detach()) == 0.0
    terms["loss"].backward()


def test_one_confident_cell_is_left_out() -> None:
    """Batch normalisation cannot be applied to a single unlabelled cell."""
    network = _network()
    batch = _batch(n=0)
    with torch.no_grad():
        p = torch.softmax(network.eval().classify(batch[REGISTRY_KEYS.X_KEY]), 1).amax(1)
    threshold = float(p.sort().values[-2:].mean())  # only one cell is above the threshold
    plan = _plan(network, confidence_threshold=threshold, adversary_confident_only=True)
    _, terms = plan.step(batch)
    assert float(terms["confident"]) == 1 / 8
    assert float(terms["loss"].detach()) == 0.0


def test_threshold_applies_to_calibrated_probabilities() -> None:
    """The confidence of pseudolabels uses the temperature of an earlier training."""
    network = _network(normalization="layer")
    batch = _batch()
    sure = []
    for temperature in (1.0, 0.1):
        network.temperature.fill_(temperature)
        _, terms = _plan(network, confidence_threshold=0.6).step(batch)
        sure.append(float(terms["confident"]))
    with torch.no_grad():
        raw = network.classifier(network.embed(batch[REGISTRY_KEYS.X_KEY][6:]))
    for temperature, share in zip((1.0, 0.1), sure, strict=True):
        p = torch.softmax(raw / temperature, 1).amax(1)
        assert share == pytest.approx(float((p >= 0.6).float().mean()))
    assert sure[1] > sure[0]


@pytest.mark.parametrize(
    ("preset", "unlabelled", "changes", "expected"),
    [
        ("default", True, {}, 40),
        ("default", True, {"ssl_ramp_epochs": 5, "adversary_ramp_epochs": 7}, 7),
        ("default", False, {"adversary_weight": 0.0}, 0),
        ("no_adversary", True, {"ssl_ramp_epochs": 5}, 5),
        ("no_mixmatch", True, {"adversary_ramp_epochs": 3}, 3),
        ("supervised", True, {}, 0),
        ("published", True, {}, 100),
    ],
)
def test_active_ramps(
    preset: str, unlabelled: bool, changes: dict[str, object], expected: int
) -> None:
    recipe = recipe_of(preset, changes)
    assert recipe.ramp_epochs(40, unlabelled=unlabelled) == expected
    assert recipe.rising_within(20).ramp_epochs(40, unlabelled=unlabelled) == (
        20 if expected == 40 else expected
    )


def test_unknown_domains_are_ignored() -> None:
    network = _network(normalization="layer")
    z = torch.randn(6, 5)
    domains = torch.tensor([[0], [1], [-1], [0], [-1], [1]])
    loss = network.adversarial_loss(z, domains, 1.0)
    known = domains[:, 0] >= 0
    expected = F.cross_entropy(network.adversaries[0](z[known]), domains[known, 0])
    torch.testing.assert_close(loss, expected)
    assert float(network.adversarial_loss(z, torch.full((6, 1), -1), 1.0).detach()) == 0.0


def test_teacher_is_a_running_mean() -> None:
    network = _network()
    plan = _plan(network, teacher_decay=0.6)
    expected = {k: v.clone() for k, v in plan.teacher.state_dict().items()}
    for step, decay in enumerate(
        [0.5, 0.6, 0.6]
    ):  # 1 - 1/2, then 1 - 1/3 and 1 - 1/4, which are capped
        with torch.no_grad():
            for value in network.parameters():
                value.add_(torch.randn_like(value))
        plan.on_train_batch_end(None, None, step)
        own = network.state_dict()
        for name, value in plan.teacher.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * own[name]
                torch.testing.assert_close(value, expected[name])
    assert not plan.teacher.training
    assert not any(p.requires_grad for p in plan.teacher.parameters())


def test_presets_differ_in_the_documented_settings() -> None:
    default = PRESETS["default"]
    differences = {
        name: {
            field
            for field in Recipe.__dataclass_fields__
            if getattr(recipe, field) != getattr(default, field)
        }
        for name, recipe in PRESETS.items()
    }
    assert differences["no_adversary"] == {"adversary_weight"}
    assert differences["no_mixmatch"] == {"mixmatch"}
    assert differences["no_teacher"] == {"teacher_decay"}
    assert differences["supervised"] == {"mixmatch", "adversary_weight"}
    assert "adversary_confident_only" in differences["new_identity"]
    published = PRESETS["published"]
    assert (published.optimizer, published.lr, published.weight_decay) == ("adadelta", 1.0, 1e-5)
    assert (published.ssl_ramp_epochs, published.adversary_ramp_epochs) == (100, 20)
    assert (published.adversary_weight, published.max_epochs) == (0.1, 400)
    assert (published.mixup_alpha, published.sharpening) == (0.3, 0.5)
    assert published.teacher_decay is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"adversery_weight": 1.0}, TypeError, r"no \['adversery_weight'\].*adversary_weight"),
        ({"adversary_weight": -1.0}, ValueError, "adversary_weight must be a number from 0"),
        ({"mixup_alpha": 0.0}, ValueError, "mixup_alpha must be a number above 0"),
        (
            {"confidence_threshold": 1.0},
            ValueError,
            "number from 0 below 1",
        ),
        (
            {"teacher_decay": 1.0},
            ValueError,
            "number between 0 and 1 or None",
        ),
        ({"balance": 2.0}, ValueError, "balance must be a number from 0 to 1"),
        ({"optimizer": "sgd"}, ValueError, "optimizer='sgd' is not one of"),
        ({"max_epochs": 0}, ValueError, "max_epochs must be a positive whole number"),
        ({"ssl_ramp_epochs": -1}, ValueError, "ssl_ramp_epochs must be a whole number from 0"),
    ],
)
def test_invalid_settings_are_an_error(
    changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        recipe_of("default", changes)
    with pytest.raises(ValueError, match=r"preset='best' is not one of .*new_identity"):
        recipe_of("best", {})
