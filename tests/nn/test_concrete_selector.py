"""Concrete selector: soft in training, hard with different features afterwards."""

import pytest
import torch

from ace.nn import ConcreteSelector


def _selector(logits, **kwargs):
    selector = ConcreteSelector(len(logits[0]), len(logits), **kwargs)
    with torch.no_grad():
        selector.logits.copy_(torch.tensor(logits))
    return selector


def test_evaluation_reads_the_preferred_features_and_passes_gradients():
    selector = _selector([[0.0, 5.0, 1.0], [2.0, 0.0, 1.0]]).eval()
    x = torch.tensor([[10.0, 20.0, 30.0]], requires_grad=True)
    out = selector(x)
    assert out.tolist() == [[20.0, 10.0]]
    out[0, 0].backward()
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]


def test_temperature_falls_exponentially():
    selector = ConcreteSelector(4, 2, temperature=(10.0, 0.01))
    temperatures = []
    for progress in (-1.0, 0.0, 1 / 3, 2 / 3, 1.0, 2.0):
        selector.progress = progress
        temperatures.append(selector.temperature)
    assert temperatures == pytest.approx([10, 10, 1, 0.1, 0.01, 0.01])


def test_soft_choice_follows_the_probabilities_of_the_logits():
    """At a low temperature, a selector samples from softmax(α) (Gumbel-max trick)."""
    torch.manual_seed(0)
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    selector = _selector([probabilities.log().tolist()])
    selector.progress = 1.0
    x = torch.eye(3)
    drawn = torch.stack([selector(x)[:, 0] for _ in range(3000)])
    torch.testing.assert_close(drawn.sum(1), torch.ones(3000))
    torch.testing.assert_close(drawn.mean(0), probabilities, atol=0.03, rtol=0)


def test_prior_is_the_probability_to_start_with():
    torch.manual_seed(0)
    selector = _selector([[0.0, 0.0, 0.0]])
    selector.prefer(torch.tensor([1.0, 3.0, 0.0]))
    p = torch.softmax(selector.logits, 1)[0]
    torch.testing.assert_close(p[1] / p[0], torch.tensor(3.0))
    assert 0 < p[2] < 1e-3
    before = selector.logits.clone()
    selector.prefer(torch.tensor([1.0, 3.0, 0.0]))  # again: nothing is added twice
    torch.testing.assert_close(selector.logits, before)


def test_crowding_counts_duplicate_selectors():
    selector = _selector([[50.0, 0, 0, 0]] * 3 + [[0, 50.0, 0, 0]])
    selector.progress = 0.5  # T ≈ 0.3: softmax is one-hot
    assert selector.crowding().item() == pytest.approx(2 / 4)
    assert _selector(torch.diag(torch.full((4,), 1e3)).tolist()).crowding().item() == 0


def test_settled_features_differ_and_stay():
    selector = _selector([[5.0, 4.0, 0.0], [5.0, 0.0, 0.0], [5.0, 1.0, 3.0]])
    assert selector.selected.tolist() == [0, 0, 0]
    assert not selector.is_settled
    selector.settle()
    assert selector.selected.tolist() == [1, 0, 2]
    x = torch.tensor([[10.0, 20.0, 30.0]])
    assert selector.train()(x).tolist() == selector.eval()(x).tolist() == [[20.0, 10.0, 30.0]]
    again = ConcreteSelector(3, 3)
    again.load_state_dict(selector.state_dict())
    assert again.is_settled
    assert again.selected.tolist() == [1, 0, 2]


def test_it_learns_which_features_matter():
    torch.manual_seed(0)
    x = torch.randn(256, 20)
    target = torch.stack([x[:, 3], x[:, 17]], 1)
    selector, readout = ConcreteSelector(20, 2), torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(
        [{"params": selector.parameters(), "lr": 0.05}, {"params": readout.parameters()}], lr=0.02
    )
    for step in range(300):
        selector.progress = step / 300
        loss = (readout(selector(x)) - target).square().mean() + selector.crowding()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sorted(selector.selected.tolist()) == [3, 17]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4), "from 1 to 3, got 4"),
        ((3, 0), "from 1 to 3, got 0"),
        ((3, 1, (0.1, 1.0)), "two positive numbers"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConcreteSelector(*arguments)
