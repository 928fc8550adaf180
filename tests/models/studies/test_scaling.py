"""Power laws through held-out errors: found again where they are true, and honest about a floor above the target."""

import numpy as np
import pytest

from models.studies.scaling import Curve, ScalingError, fit, fits

SIZES = [32, 96, 288, 864]


@pytest.mark.parametrize("law", [Curve(0.1, 2.0, 0.6), Curve(0.0, 1.5, 0.3), Curve(0.25, 4.0, 1.0)])
def test_a_law_without_noise_is_found_again(law):
    errors = np.array([law.at(n) for n in SIZES])
    found = fit(np.array(SIZES, float), errors)
    assert [found.at(n) for n in SIZES] == pytest.approx(errors.tolist(), abs=1e-4)


def test_needed_is_where_the_curve_meets_the_error():
    law = Curve(0.1, 2.0, 0.5)
    assert law.at(law.needed(0.2)) == pytest.approx(0.2)
    assert law.needed(0.1) == float("inf")
    assert law.needed(5.0) == 1.0


def test_resamples_cover_the_law_they_were_drawn_from():
    law, rng = Curve(0.1, 1.0, 0.5), np.random.default_rng(3)
    means = np.array([law.at(n) for n in SIZES])
    covered = 0
    for trial in range(20):
        errors = means[:, None, None] + rng.normal(0, 0.05, (1, 3, 40)) + rng.normal(0, 0.02, (4, 3, 40))
        _, drawn = fits(SIZES, errors, 100, trial)
        low, high = np.quantile([one.at(288) for one in drawn], [0.025, 0.975])
        covered += low <= law.at(288) <= high
    assert covered >= 15


def test_two_sizes_and_clips_that_are_never_defined_are_refused():
    with pytest.raises(ScalingError, match="three numbers of clips"):
        fit(np.array([32.0, 96.0]), np.array([0.5, 0.4]))
    with pytest.raises(ScalingError, match="no held-out clip"):
        fits(SIZES, np.full((4, 2, 3), np.nan), 100, 0)
