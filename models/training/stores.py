"""Training data out of the shards and the feature stores of a workspace (design §12)."""

from collections.abc import Sequence
from functools import partial

from models.data.features import FeatureStore
from models.data.shards import ClipShards
from models.training.data import Reader, TokenSource, TrainingData


def training_data(
    shards: ClipShards,
    train: Sequence[str],
    held_out: Sequence[str],
    *,
    latents: FeatureStore,
    spatial: FeatureStore | None = None,
    semantic: FeatureStore | None = None,
    captions: Reader | None = None,
) -> TrainingData:
    """What a recipe reads of the clips to train on and of those held out; it asks only for the streams of its arm."""
    stores = {"latents": latents, "spatial": spatial, "semantic": semantic}
    return TrainingData(
        ids=train,
        held_out=held_out,
        latents=partial(latents.read, name="latents"),
        spatial=None if spatial is None else token_source(spatial),
        semantic=None if semantic is None else token_source(semantic),
        captions=captions,
        frames=shards.frames,
        fingerprints={name: store.store.fingerprint for name, store in stores.items() if store is not None},
    )


def token_source(store: FeatureStore) -> TokenSource:
    """An encoder's stored tokens with their shared positions, and their mask where one was stored."""
    first = store.shards.ids()[:1]
    mask = partial(store.read, name="mask") if "mask" in store.names() else None
    return TokenSource(partial(store.read, name="tokens"), store.read(first, "positions"), mask)
