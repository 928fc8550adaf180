"""Where a criterion's numbers lie on its line, whatever they are."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.documents import Criterion
from orchestration.report.scale import places

NUMBER = st.floats(-1000, 1000, allow_nan=False).map(lambda x: round(x, 4))


def criterion(metric: str, target: float, failure: float | None, value: float | None = None) -> Criterion:
    return Criterion(
        metric=metric,
        target=target,
        failure=failure,
        section="6.1",
        value=value,
        low=value,
        high=value,
        outcome="GO",
        why="",
    )


@given(target=NUMBER, failure=st.none() | NUMBER, value=st.none() | NUMBER)
def test_everything_known_lies_on_the_line(target, failure, value):
    at = places(criterion("spatial_iou", target, failure, value))
    known = [x for x in (at.target, at.failure, at.value, at.low, at.high) if x is not None]
    assert all(0 <= x <= 1 for x in known)
    assert (at.value is None) == (value is None)


@given(target=NUMBER, value=NUMBER)
def test_a_value_past_its_target_lies_in_the_good_part(target, value):
    at = places(criterion("lpips", target, None, value))
    assert at.good
    assert at.value is not None
    assert (at.good[0] <= at.value <= at.good[1]) == (value <= target)


def test_the_two_lines_say_which_side_is_good():
    assert places(criterion("lpips", 0.25, 0.35)).good_right is False
    assert places(criterion("spatial_iou", 0.75, 0.65)).good_right is True


def test_where_they_coincide_the_metric_says_it():
    assert places(criterion("lpips_gain@vlm_only", -0.03, -0.03)).good_right is True
    assert places(criterion("lpips@6.4", 0.35, None)).good_right is False


def test_a_target_of_zero_keeps_its_bad_side_visible():
    bad = places(criterion("lpips_gain@vlm_only", 0.0, 0.0, 0.3)).bad
    assert bad is not None
    assert bad[1] > 0.05
