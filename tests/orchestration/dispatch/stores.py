"""An object store of this process's memory, as far as dispatch uses one."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.objects.errors import ObjectMissing, ObjectTaken


@dataclass
class Memory:
    """Keeps bytes by key; `put` remembers the order."""

    held: dict[str, bytes] = field(default_factory=dict)
    put: list[str] = field(default_factory=list)

    def place(self, key: str) -> str:
        return f"memory:{key}"

    def put_bytes(self, data: bytes, key: str, *, only_if_absent: bool = False) -> str:
        if only_if_absent and key in self.held:
            raise ObjectTaken(key)
        self.held[key] = data
        self.put.append(key)
        return hashlib.sha256(data).hexdigest()

    def put_file(self, path: Path, key: str, *, only_if_absent: bool = False) -> str:
        return self.put_bytes(path.read_bytes(), key, only_if_absent=only_if_absent)

    def get_bytes(self, key: str) -> bytes:
        if key not in self.held:
            raise ObjectMissing(key)
        return self.held[key]

    def get_file(self, key: str, path: Path) -> str:
        data = self.get_bytes(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    def exists(self, key: str) -> bool:
        return key in self.held

    def keys(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.held if key.startswith(prefix)))

    def remove(self, key: str) -> None:
        self.held.pop(key, None)
