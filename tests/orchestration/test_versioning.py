"""What makes a result stale: code that does something else, and not how it is written."""

import pytest

from orchestration import versioning


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one package; gives a function that writes its module and says the hash."""
    monkeypatch.setattr(versioning, "REPOSITORY", tmp_path)
    (tmp_path / "package").mkdir()

    def written(source: str) -> str:
        (tmp_path / "package" / "module.py").write_text(source)
        versioning.source_sha256.cache_clear()
        return versioning.source_sha256("package")

    yield written
    versioning.source_sha256.cache_clear()


def test_comments_docstrings_and_line_breaks_change_nothing(repository):
    plain = repository("def f(x):\n    return x + 1\n")
    assert (
        repository('"""Said."""\n\ndef f(x):\n    """Adds."""\n    # why\n    return (\n        x + 1\n    )\n')
        == plain
    )


@pytest.mark.parametrize("changed", ["def f(x):\n    return x + 2\n", "def f(x, y=0):\n    return x + 1\n"])
def test_other_code_is_seen(repository, changed):
    assert repository(changed) != repository("def f(x):\n    return x + 1\n")


def test_what_an_error_says_changes_nothing_and_which_error_it_is_does(repository):
    said = repository("def f(x):\n    raise ValueError(f'{x}: too small')\n")
    assert repository("def f(x):\n    raise ValueError(f'{x} is too small; give more')\n") == said
    assert repository("def f(x):\n    raise TypeError(f'{x}: too small')\n") != said


def test_a_docstring_is_not_taken_for_the_whole_of_a_function(repository):
    assert repository('def f():\n    """Said."""\n') == repository('def f():\n    """Otherwise."""\n')


def test_a_source_that_is_not_there_is_an_error(repository):
    repository("")
    with pytest.raises(versioning.VersionError, match="no source here"):
        versioning.source_sha256("elsewhere")


def test_what_a_file_imports_belongs_to_what_it_does():
    found = versioning.with_imports("models/encoders/dinov2.py")
    assert {f"models/encoders/{name}.py" for name in ("dinov2", "vit", "base", "pixels", "checkpoint")} <= set(found)
    assert not any(file.endswith(("qwen.py", "sam.py", "loop.py")) for file in found)
    assert "models/encoders/pixels.py" not in versioning.with_imports("models/encoders/qwen.py")


def test_imports_are_followed_wherever_they_stand_and_however_they_are_written(repository):
    repository("def late():\n    from package import other\n    import package.third\n")
    root = versioning.REPOSITORY
    (root / "package" / "other.py").write_text("from package.module import late\nimport numpy\n")
    (root / "package" / "third.py").write_text("")
    (root / "package" / "unused.py").write_text("")
    versioning.with_imports.cache_clear()
    assert versioning.with_imports("package/module.py") == (
        "package/module.py",
        "package/other.py",
        "package/third.py",
    )
    versioning.with_imports.cache_clear()
