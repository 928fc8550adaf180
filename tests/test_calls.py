"""No call in the tree runs what it reads: nothing is unpickled, evaluated or given to a shell.

The list says which calls, and `ALLOWED` the one place where a pickle is read: by an unpickler that knows numpy's arrays
and nothing else. It is a list of the known ways and sees names, not values: what is called through a variable passes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from orchestration.home import REPOSITORY

PACKAGES = ("models", "assets", "orchestration", "infra")
ALLOWED = {("models/pickled.py", "pickle.Unpickler")}
UNPICKLE = {
    *(f"{module}.{name}" for module in ("pickle", "_pickle", "cloudpickle", "dill") for name in ("load", "loads")),
    *("pickle.Unpickler", "_pickle.Unpickler", "pickle._Unpickler", "dill.Unpickler"),
    *("joblib.load", "shelve.open", "marshal.load", "marshal.loads", "pandas.read_pickle", "torch.hub.load"),
}
EVALUATE = {"eval", "exec", "builtins.eval", "builtins.exec"}
YAML = {f"yaml.{name}" for name in ("load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all")}
SHELL = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
FORBIDDEN = UNPICKLE | EVALUATE | YAML | SHELL
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader"}


def breaches(source: str, file: str) -> Iterator[str]:
    """`FILE:LINE: CALL` of each call or base class that runs what it is given."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found = _forbidden(node, names)
        elif isinstance(node, ast.ClassDef):
            found = [name for name in (_full(base, names) for base in node.bases) if name in FORBIDDEN]
        else:
            continue
        yield from (f"{file}:{node.lineno}: {name}" for name in found if (file, name) not in ALLOWED)


def _forbidden(call: ast.Call, names: dict[str, str]) -> list[str]:
    name = _full(call.func, names)
    given = {word.arg: word.value for word in call.keywords}
    for word in ("shell", "trust_remote_code"):
        if not _off(given.get(word)):
            return [word]
    if name == "torch.load" and ast.dump(given.get("weights_only", call)) != ast.dump(ast.Constant(True)):
        return ["torch.load without weights_only=True"]
    if name == "numpy.load" and (len(call.args) > 2 or None in given or not _off(given.get("allow_pickle"))):
        return ["numpy.load with allow_pickle"]
    if name == "yaml.load":
        loader = given.get("Loader", call.args[1] if len(call.args) > 1 else None)
        return [] if loader is not None and _full(loader, names) in SAFE_LOADERS else ["yaml.load"]
    return [name] if name in FORBIDDEN else []


def _off(node: ast.expr | None) -> bool:
    """Whether a keyword is left out or is plainly False."""
    return node is None or (isinstance(node, ast.Constant) and node.value is False)


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """What each imported name stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _full(node: ast.expr, names: dict[str, str]) -> str | None:
    """The dotted name of what is called, with the names of imports in place of their aliases."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = _full(node.value, names)
        return f"{before}.{node.attr}" if before else None
    return None


def test_no_call_runs_what_it_reads():
    files = [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]
    assert len(files) > 200
    found = [
        breach for path in files for breach in breaches(path.read_text("utf-8"), str(path.relative_to(REPOSITORY)))
    ]
    assert found == []


def test_what_is_allowed_is_there_once():
    for file, name in ALLOWED:
        source = (REPOSITORY / file).read_text("utf-8")
        assert [breach.split(": ")[1] for breach in breaches(source, "elsewhere.py")] == [name]


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=chosen)",
        "from torch import load as read\nread(path)",
        "import pickle\npickle.load(file)",
        "import pickle as p\np.loads(body)",
        "from pickle import loads\nloads(body)",
        "def f():\n    from pickle import Unpickler\n    Unpickler(file).load()",
        "import pickle\nclass Own(pickle.Unpickler): pass",
        "import cloudpickle\ncloudpickle.loads(body)",
        "import joblib\njoblib.load(path)",
        "import pandas as pd\npd.read_pickle(path)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.load(text, Loader=yaml.FullLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import numpy as np\nnp.load(path, None, True)",
        "import numpy as np\nnp.load(path, **how)",
        "import subprocess\nsubprocess.run(command, shell=True)",
        "from subprocess import Popen\nPopen(command, shell=chosen)",
        "import os\nos.system(command)",
        "eval(text)",
        "exec(text)",
        "from transformers import AutoModel\nAutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_a_planted_call_is_found(source):
    [found] = breaches(source, "planted.py")
    assert found.startswith(f"planted.py:{source.count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(path, mmap_mode='r', allow_pickle=False)",
        "import numpy as np\nnp.load(path)",
        "import yaml\nyaml.safe_load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import json\njson.loads(text)",
        "import subprocess\nsubprocess.run(command, shell=False)",
        "model.eval()",
        "from transformers import AutoModel\nAutoModel.from_pretrained(name, trust_remote_code=False)",
    ],
)
def test_a_sound_call_is_none(source):
    assert list(breaches(source, "sound.py")) == []
