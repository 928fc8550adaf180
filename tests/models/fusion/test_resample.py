"""Means by place and by moment: what lies near counts, what is masked does not, and the order says nothing."""

import pytest
import torch

from models.encoders.base import Tokens, on_grid
from models.fusion.resample import at_cells, at_frames, of_clip, of_frames, rows_of


def marked(side: int) -> Tokens:
    """One frame of side x side tokens, each marked by its own channel."""
    return on_grid(torch.eye(side * side)[None, None], side, side)


def test_a_cell_reads_what_lies_in_it():
    inside = at_cells(marked(8), (4, 4))[0, 0].view(4, 4, 8, 8)
    for row in range(4):
        for column in range(4):
            own = inside[row, column, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert own.sum() > 0.95
            torch.testing.assert_close(own, own.mean().expand(2, 2))


def test_equal_grids_are_left_as_they_are():
    torch.testing.assert_close(at_cells(marked(4), (4, 4))[0, 0], torch.eye(16), atol=2e-3, rtol=0)


def test_a_cell_without_tokens_reads_the_nearest():
    coarse = at_cells(marked(2), (8, 8))[0, 0].view(8, 8, 4)
    assert torch.equal(coarse[[0, 3, 0, 7], [0, 3, 7, 7]].argmax(-1), torch.tensor([0, 0, 1, 3]))


def test_a_masked_token_gives_way_to_its_neighbours():
    tokens = marked(4)
    tokens.mask[0, 0, 5] = False
    seen = at_cells(tokens, (4, 4))[0, 0, 5]
    assert seen[5] == 0
    torch.testing.assert_close(seen[[1, 4, 6, 9]], torch.full((4,), 0.25), atol=1e-2, rtol=0)


def test_where_nothing_is_valid_there_is_nothing():
    tokens = marked(2)
    tokens.mask[:] = False
    assert all(
        torch.equal(seen, torch.zeros_like(seen))
        for seen in (at_cells(tokens, (2, 2)), at_frames(tokens, 3), of_frames(tokens), of_clip(tokens))
    )


@pytest.mark.parametrize(("theirs", "ours"), [(5, 5), (9, 5), (3, 5)])
def test_moments_meet_at_equal_times(theirs, ours):
    """A ramp in time is a ramp in latent time; its ends are pulled inwards, by less than a latent frame."""
    ramp = torch.linspace(0, 1, theirs)[None, :, None, None].expand(1, theirs, 2, 1)
    seen = at_frames(on_grid(ramp, 1, 2), ours)[0, :, 0]
    assert (seen.diff() > 0).all()
    assert (seen - torch.linspace(0, 1, ours)).abs().max() < 1 / (ours - 1)


def test_one_frame_is_a_clip():
    tokens = on_grid(torch.randn(2, 1, 4, 3), 2, 2)
    torch.testing.assert_close(at_frames(tokens, 1), of_clip(tokens))
    torch.testing.assert_close(of_frames(tokens), of_clip(tokens))


def test_rows_tell_cells_their_frame_and_semantic_queries_the_clip():
    assert rows_of(2, 3, 2, torch.device("cpu")).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
