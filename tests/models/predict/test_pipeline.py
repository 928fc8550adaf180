"""A clip through the whole: equal seeds give equal futures, nothing of the future goes in, a lost stream is said."""

import numpy as np
import pytest
import torch

from models.decoder.sampling import SamplingConfig
from models.predict.pipeline import Pipeline, PredictionError, put
from models.predict.sampling import load
from models.training.checkpoint import CheckpointError
from tests.models.decoder import small
from tests.models.predict import toy
from tests.models.training import toy as world

CPU: dict[str, str] = dict.fromkeys(("dinov2", "qwen", "fusion", "ltx", "vae"), "cpu")


def pipeline(predictor, **encoders) -> Pipeline:
    encoders = encoders or {"dinov2": toy.Where(), "qwen": toy.What()}
    vae = small.vae(world.CHANNELS, patch=1, scalings=1)
    return Pipeline(load(predictor, small.toy_generator()), vae, encoders, SamplingConfig(2))


def clip(frames: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, 8, 8, 3), dtype=np.uint8)


def test_the_same_seed_gives_the_same_video_and_another_another(predictor):
    made, again = (pipeline(predictor).predict(clip(), seed=3) for _ in range(2))
    assert np.array_equal(made.frames, again.frames)
    assert torch.equal(made.latents, again.latents)
    assert not torch.equal(made.latents, pipeline(predictor).predict(clip(), seed=4).latents)


def test_nothing_of_the_future_goes_in(predictor):
    true = clip()
    other = np.concatenate([true[:1], 255 - true[1:]])
    made = pipeline(predictor).predict(true)
    assert np.array_equal(made.frames, pipeline(predictor).predict(other).frames)
    assert np.array_equal(made.frames, pipeline(predictor).predict(true[:1]).frames)
    assert np.array_equal(made.frames[:1], true[:1])
    assert made.frames.shape == (3, 8, 8, 3)
    assert made.future.shape == (2, 8, 8, 3)


def test_a_stream_that_is_not_there_is_the_null_and_is_said(predictor):
    whole = pipeline(predictor).predict(clip())
    alone = pipeline(predictor, dinov2=toy.Where()).predict(clip())
    assert whole.lost == {}
    assert not torch.equal(whole.conditioning["latent_tokens"], alone.conditioning["latent_tokens"])
    chain = pipeline(predictor, dinov2=toy.Where())
    chain.missing["qwen"] = "no folder"
    assert chain.predict(clip()).lost == {"qwen": "no folder"}


def test_an_encoder_that_fails_on_a_clip_is_as_if_it_were_not_there(predictor):
    alone = pipeline(predictor, dinov2=toy.Where()).predict(clip())
    broken = pipeline(predictor, dinov2=toy.Where(), qwen=toy.Broken()).predict(clip())
    assert "not finite" in broken.lost["qwen"]
    assert np.array_equal(broken.frames, alone.frames)
    with pytest.raises(PredictionError, match="no encoder could see"):
        pipeline(predictor, qwen=toy.Broken()).predict(clip())


def test_without_any_encoder_there_is_no_pipeline(predictor):
    with pytest.raises(PredictionError, match="neither encoder"):
        Pipeline(load(predictor, small.toy_generator()), small.vae(4, patch=1, scalings=1), {}, SamplingConfig(2))


def test_the_encoders_count_once_where_they_run_beside_each_other(predictor):
    made = pipeline(predictor).predict(clip())
    assert set(made.seconds) == {"encoders", "dinov2", "qwen", "vae_encoder", "fusion", "ltx", "vae_decoder"}
    rest = sum(made.seconds[name] for name in ("vae_encoder", "fusion", "ltx", "vae_decoder"))
    assert made.parallel_s == pytest.approx(rest + made.seconds["encoders"])
    assert made.serial_s == pytest.approx(rest + made.seconds["dinov2"] + made.seconds["qwen"])


def test_a_clip_shorter_than_the_context_or_of_no_bytes_is_refused(predictor):
    with pytest.raises(PredictionError, match="1 frames or more"):
        pipeline(predictor).predict(clip()[:0])
    with pytest.raises(PredictionError, match="float64"):
        pipeline(predictor).predict(clip() / 255)


def test_a_checkpoint_that_saw_whole_clips_predicts_nothing(start):
    with pytest.raises(CheckpointError, match="saw whole clips"):
        load(start, small.toy_generator())


def test_the_decoder_computes_in_half_precision_where_it_is_put_so(predictor):
    chain = put(pipeline(predictor), CPU, torch.bfloat16)
    made, full = chain.predict(clip()), pipeline(predictor).predict(clip())
    assert chain.trained.generator.coordinates.dtype == torch.float32
    assert next(chain.vae.parameters()).dtype == torch.bfloat16
    difference = np.abs(made.future.astype(int) - full.future).mean()
    assert difference < 8
