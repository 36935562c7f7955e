"""Numbers that are a hash of seed, stream and index look like independent draws from a normal distribution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metasearch_trainer.metalearners.noise import normal

COUNT = 200_000


def draw(seed: int, stream: int, size: int = COUNT) -> Tensor:
    return normal(seed, torch.tensor(stream), size)


@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (0, 1), (1, 0), (2**62 - 1, 10_000_000 * 5_000)])
def test_a_stream_has_the_moments_and_quantiles_of_a_normal_distribution(seed: int, stream: int) -> None:
    """Bounds are five standard errors of each estimate."""
    drawn = draw(seed, stream)
    for power, moment, error in [(1, 0, 1.0), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)]:
        assert float((drawn**power).mean()) == pytest.approx(moment, abs=5 * error / COUNT**0.5)
    quantiles = torch.quantile(drawn, torch.tensor([0.001, 0.1587, 0.5, 0.8413, 0.999], dtype=torch.float64))
    errors = torch.tensor([9.4, 1.51, 1.26, 1.51, 9.4]) / COUNT**0.5  # sqrt(p (1 - p)) / density
    expected = torch.tensor([-3.0902, -1.0, 0.0, 1.0, 3.0902], dtype=torch.float64)
    assert bool(((quantiles - expected).abs() < 5 * errors + 2e-3).all())


def test_streams_and_neighbours_are_uncorrelated() -> None:
    streams = torch.stack([draw(seed, stream) for seed in (0, 1, 2) for stream in (0, 1, 2, 3)])
    shifted = torch.stack([streams[0].roll(by) for by in (1, 2, 1000)])
    correlations = torch.corrcoef(torch.cat([streams, shifted])) - torch.eye(15)
    assert float(correlations.abs().max()) < 5 / COUNT**0.5


def test_equal_names_give_equal_numbers_and_others_give_others() -> None:
    first = draw(7, 3, 10)
    assert torch.equal(first, draw(7, 3, 10))
    assert not torch.isin(draw(7, 4, 1000), draw(7, 3, 1000)).any()
    assert not torch.isin(draw(8, 3, 1000), draw(7, 3, 1000)).any()


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    draw(0, 0, 10)
    assert torch.equal(before, torch.get_rng_state())
