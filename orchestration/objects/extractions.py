"""An extraction in the object store while it goes on, so that any machine goes on where another was lost.

PREFIX/files/SHA256    a finished file of features
PREFIX/store.json      which of them there are, as in the folder; written last
"""

import json
from dataclasses import asdict
from pathlib import Path

from models.data import file_sha256, write_durably
from models.data.features import STORE, Store, read_store
from orchestration.objects.store import ObjectDamaged, ObjectMissing, ObjectStore


def push_extraction(store: ObjectStore, folder: Path, prefix: str, sent: set[str]) -> None:
    """Send the files that a folder of features names, but those `sent`, to which they are added.

    Raises:
        FeatureError: nothing is named there yet.
        ObjectError: the store is away or refuses; what arrived is known to the next push.
    """
    held = read_store(folder)
    fresh = {name: sha256 for name, sha256 in held.shards.items() if sha256 not in sent}
    for name, sha256 in fresh.items():
        key = f"{prefix}/files/{sha256}"
        if not store.exists(key) and store.put_file(folder / name, key) != sha256:
            store.remove(key)
            raise ObjectDamaged(f"{folder / name}: changed while it was sent")
        sent.add(sha256)
    if fresh:
        store.put_bytes(json.dumps(asdict(held)).encode(), f"{prefix}/{STORE}")


def pull_extraction(store: ObjectStore, prefix: str, folder: Path) -> int:
    """Bring what was finished below a prefix into a folder of features; the number of its files.

    A file that is damaged or gone is left out: it costs its clips, not the extraction.

    Raises:
        ObjectError: the store is away or refuses.
    """
    key = f"{prefix}/{STORE}"
    if not store.exists(key):
        return 0
    held = Store(**json.loads(store.get_bytes(key)))
    for name, sha256 in list(held.shards.items()):
        if Path(name).name != name or not _brought(store, f"{prefix}/files/{sha256}", folder / name, sha256):
            del held.shards[name], held.sources[name]
    write_durably(folder / STORE, json.dumps(asdict(held), indent=1, sort_keys=True).encode())
    return len(held.shards)


def _brought(store: ObjectStore, key: str, path: Path, sha256: str) -> bool:
    """Whether the file of this content lies at its place now."""
    if path.is_file() and file_sha256(path) == sha256:
        return True
    try:
        return store.get_file(key, path) == sha256
    except (ObjectMissing, ObjectDamaged):
        return False
