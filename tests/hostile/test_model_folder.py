"""A model folder that is not exactly what was written is refused with what was found and what to do."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

import nutgraf
from nutgraf.artefact import check_vacant, read_model, write_model
from nutgraf.registry import model_path
from nutgraf_data.errors import ModelError
from nutgraf_data.labels import LabelSet

MANIFEST, WEIGHTS, SETTINGS = "manifest.json", "model.safetensors", "settings.toml"
LABELS = LabelSet("two", {"a": "first", "b": "second"})
FILES = [MANIFEST, WEIGHTS, SETTINGS, "README.md", "trained_on.txt"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the bundled linear model."""
    return Path(shutil.copytree(model_path("linear"), tmp_path / "copy"))


def refusal(folder: Path) -> str:
    """What is said of a folder that has to be refused."""
    with pytest.raises(ModelError) as caught:
        nutgraf.load(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert ";" in message, "it has to say what to do"
    assert len(message) < 2000
    return message


def read(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return manifest


def write(folder: Path, manifest: dict[str, Any], *, sign: bool = False) -> None:
    """Writes a manifest; signed, all its hashes are right."""
    if sign:
        for name, entry in manifest["files"].items():
            if isinstance(name, str) and os.path.isfile(folder / name) and isinstance(entry, dict):
                content = (folder / name).read_bytes()
                entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest.pop("digest", None)
        manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "harm", ["cut", "flip-first", "flip-middle", "flip-last", "empty", "missing", "grown", "link", "folder"]
)
def test_harmed_files(model: Path, tmp_path: Path, name: str, harm: str) -> None:
    file = model / name
    content = file.read_bytes()
    if harm.startswith("flip"):
        place = {"first": 0, "middle": len(content) // 2, "last": len(content) - 2}[harm[5:]]
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif harm in {"link", "folder", "missing"}:
        file.rename(tmp_path / "elsewhere")
        if harm == "link":
            file.symlink_to(tmp_path / "elsewhere")
        elif harm == "folder":
            file.mkdir()
    else:
        file.write_bytes({"cut": content[:-100], "empty": b"", "grown": content + b"{}"}[harm])
    assert name in refusal(model)


def test_pipes_are_not_waited_for(model: Path) -> None:
    for name in (SETTINGS, MANIFEST):
        (model / name).unlink()
        os.mkfifo(model / name)
        assert name in refusal(model)


def test_not_a_folder(tmp_path: Path) -> None:
    assert "no bundled model" in refusal_of_nothing(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    assert "is a file" in refusal(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "has no manifest.json" in refusal(tmp_path / "empty")
    for name in ("x" * 5000, "a\0b", "", "../" * 2000):
        with pytest.raises(ModelError):
            nutgraf.load(name)


def refusal_of_nothing(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        nutgraf.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[]", "holds a list"),
        (b"null", "holds a NoneType"),
        (b'"format"', "holds a str"),
        (b"{}", "its format is None"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"format":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
        (b'{"format":1,"x":' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"format":1,"x":"' + b" " * (20 << 20) + b'"}', "bytes, expected at most"),
    ],
)
def test_manifests_that_are_none(model: Path, content: bytes, found: str) -> None:
    (model / MANIFEST).write_bytes(content)
    assert found in refusal(model)


@pytest.mark.parametrize("depth", range(800, 1000, 10))
def test_manifests_on_the_verge_of_too_deep(model: Path, depth: int) -> None:
    (model / MANIFEST).write_bytes(b'{"format":1,"digest":"","x":' + b"[" * depth + b"]" * depth + b"}")
    refusal(model)


Edit = Callable[[dict[str, Any]], object]

EDITS: dict[str, Edit] = {
    "label removed": lambda m: m["labels"].pop(),
    "label added": lambda m: m["labels"].append({"name": "new", "description": ""}),
    "label renamed": lambda m: m["labels"][0].update(name="new"),
    "labels swapped": lambda m: m["labels"].reverse(),
    "digest changed": lambda m: m.update(digest="0" * 64),
    "digest missing": lambda m: m.pop("digest"),
    "digest null": lambda m: m.update(digest=None),
    "format 2": lambda m: m.update(format=2),
    "format 0": lambda m: m.update(format=0),
    "format text": lambda m: m.update(format="1"),
    "format true": lambda m: m.update(format=True),
    "format null": lambda m: m.update(format=None),
    "format float": lambda m: m.update(format=1.0),
    "format huge": lambda m: m.update(format=10**400),
    "metrics changed": lambda m: m["metrics"].clear(),
    "hash changed": lambda m: m["files"][WEIGHTS].update(sha256="0" * 64),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_manifests(model: Path, edit: str) -> None:
    manifest = read(model)
    EDITS[edit](manifest)
    write(model, manifest)
    message = refusal(model)
    assert ("its format is" if edit.startswith("format") else "digest does not fit") in message


def entry(name: str) -> Edit:
    return lambda m: m["files"].update({name: m["files"]["README.md"]})


SIGNED: dict[str, tuple[Edit, str]] = {
    "label removed": (lambda m: m["labels"].pop(), "does not fit"),
    "label added": (lambda m: m["labels"].append({"name": "new", "description": ""}), "does not fit"),
    "label doubled": (lambda m: m["labels"].append(m["labels"][0]), "occurs twice"),
    "label blank": (lambda m: m["labels"][0].update(name=" "), "malformed"),
    "labels none": (lambda m: m.update(labels=[]), "malformed"),
    "labels null": (lambda m: m.update(labels=None), "malformed"),
    "labels text": (lambda m: m.update(labels="ab"), "malformed"),
    "labels mapping": (lambda m: m.update(labels={"a": "b"}), "malformed"),
    "labels missing": (lambda m: m.pop("labels"), "malformed"),
    "label set missing": (lambda m: m.pop("label_set"), "malformed"),
    "kind unknown": (lambda m: m.update(kind="quantum"), "its kind is 'quantum'"),
    "kind missing": (lambda m: m.pop("kind"), "its kind is None"),
    "kind number": (lambda m: m.update(kind=1), "its kind is 1"),
    "files missing": (lambda m: m.update(files=None), "does not list"),
    "files list": (lambda m: m.update(files=[WEIGHTS, SETTINGS]), "does not list"),
    "weights unlisted": (lambda m: m["files"].pop(WEIGHTS), "not listed"),
    "settings unlisted": (lambda m: m["files"].pop(SETTINGS), "does not list"),
    "entry null": (lambda m: m["files"].update({WEIGHTS: None}), "does not give"),
    "entry hashless": (lambda m: m["files"].update({"x": {"size": 0}}), "does not give"),
    "path up": (entry("../x"), "not a plain file name"),
    "path absolute": (entry("/etc/passwd"), "not a plain file name"),
    "path below": (entry("a/b"), "not a plain file name"),
    "path backslash": (entry("a\\b"), "not a plain file name"),
    "path nul": (entry("a\0b"), "not a plain file name"),
    "path surrogate": (entry("a\ud800"), "not a plain file name"),
    "path escape": (entry("a\x1b[2J\u202e"), "not a plain file name"),
    "path dots": (entry(".."), "not a plain file name"),
    "path empty": (entry(""), "not a plain file name"),
    "path itself": (entry(MANIFEST), "not a plain file name"),
    "path long": (entry("x" * 1000), "cannot be read"),
    "file that is not there": (entry("x.txt"), "x.txt is missing"),
    **{
        f"a {suffix}": (entry(f"x{suffix}"), "can carry code")
        for suffix in (".pkl", ".PKL", ".joblib", ".bin", ".pt", ".npy")
    },
}


@pytest.mark.parametrize("edit", SIGNED)
def test_signed_manifests_that_contradict_the_folder(model: Path, edit: str) -> None:
    manifest = read(model)
    change, found = SIGNED[edit]
    change(manifest)
    files = manifest["files"]
    if isinstance(files, dict) and edit != "entry null":
        write(model, manifest, sign=True)
    else:
        manifest["files"] = {}
        write(model, manifest, sign=True)
        manifest["files"] = files
        manifest.pop("digest")
        manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        write(model, manifest)
    assert found in refusal(model)


@pytest.mark.parametrize("name", ["x.pkl", ".x.pkl", ".x.PKL", "x.txt", "manifest.json.bak", "folder"])
def test_what_is_not_listed(model: Path, name: str) -> None:
    (model / name).mkdir() if name == "folder" else (model / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert f"{name} is not listed" in refusal(model)


def test_hidden_files_of_the_system_are_let_be(model: Path) -> None:
    (model / ".DS_Store").write_bytes(b"x")
    assert nutgraf.load(model).predict("Fire.").segments


def arrays(**changes: Any) -> Callable[[dict[str, Any]], bytes]:
    """The arrays with some of them replaced by what a function makes of them, or left out."""

    def changed(found: dict[str, Any]) -> bytes:
        for name, change in changes.items():
            array = name.replace("__", ".")
            if change is None:
                del found[array]
            else:
                found[array] = np.ascontiguousarray(change(found[array]))
        content: bytes = save(found)
        return content

    return changed


def with_value(value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array.flat[array.size // 2] = value
        return array

    return change


def header(text: bytes, size: int | None = None) -> Callable[[dict[str, Any]], bytes]:
    return lambda _: struct.pack("<Q", len(text) if size is None else size) + text


NAMES = [
    "buckets",
    "idf",
    "coefficients",
    "intercepts",
    "emission",
    "transitions__between",
    "transitions__start",
    "transitions__end",
]
FLOATS = NAMES[1:]
HARMED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    **{f"no {name}": arrays(**{name: None}) for name in NAMES},
    **{f"{name} cut": arrays(**{name: lambda a: a[:-1]}) for name in NAMES},
    **{f"{name} of another type": arrays(**{name: lambda a: a.astype(np.float32)}) for name in NAMES},
    **{f"{name} of another shape": arrays(**{name: lambda a: a[None]}) for name in NAMES},
    **{f"{name} a single number": arrays(**{name: lambda a: a.ravel()[0]}) for name in NAMES},
    **{f"{name} with {value}": arrays(**{name: with_value(value)}) for name in FLOATS for value in (np.nan, np.inf)},
    "coefficients turned": arrays(coefficients=lambda a: a.T),
    "buckets not ascending": arrays(buckets=lambda a: a[::-1]),
    "buckets all the same": arrays(buckets=np.zeros_like),
    "buckets too large": arrays(buckets=lambda a: np.append(a[:-1], np.uint32(2**32 - 1))),
    "empty": lambda _: b"",
    "garbage": lambda _: bytes(range(256)) * 40,
    "header of 2^63": header(b"{}", 2**63),
    "header of 2^64 - 1": header(b"{}", 2**64 - 1),
    "header of 99 MB": header(b"{}", 99_000_000),
    "header that is no JSON": header(b"{" * 100),
    "header that is a list": header(b"[]"),
    "header that is deep": header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "header without arrays": header(b"{}"),
    "array of 2^60": header(
        b'{"buckets":{"dtype":"U32","shape":[1152921504606846976],"data_offsets":[0,4611686018427387904]}}'
    ),
    "array of a negative size": header(b'{"buckets":{"dtype":"U32","shape":[-1],"data_offsets":[0,0]}}'),
    "array of an unknown type": header(b'{"buckets":{"dtype":"X9","shape":[0],"data_offsets":[0,0]}}'),
    "array of bfloat": header(b'{"buckets":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}}'),
    "array of float8": header(b'{"buckets":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0]}}'),
}


@pytest.mark.parametrize("harm", HARMED)
def test_signed_weights_that_do_not_fit(model: Path, harm: str) -> None:
    (model / WEIGHTS).write_bytes(HARMED[harm](load_arrays((model / WEIGHTS).read_bytes())))
    write(model, read(model), sign=True)
    assert WEIGHTS in refusal(model)


TOML: dict[str, Callable[[str], str]] = {
    "fewer bits": lambda text: text.replace("bits = 22", "bits = 12"),
    "bits out of range": lambda text: text.replace("bits = 22", "bits = 60"),
    "bits negative": lambda text: text.replace("bits = 22", "bits = -1"),
    "bits text": lambda text: text.replace("bits = 22", 'bits = "22"'),
    "bits float": lambda text: text.replace("bits = 22", "bits = 22.5"),
    "characters none": lambda text: text.replace("max_characters = 20000", "max_characters = 0"),
    "unknown setting": lambda text: text.replace("[features]", "[features]\ntokenizer = 1"),
    "unknown block": lambda text: text.replace("word = 1.0", "work = 1.0"),
    "weight nan": lambda text: text.replace("word = 1.0", "word = nan"),
    "weight infinite": lambda text: text.replace("word = 1.0", "word = inf"),
    "weight text": lambda text: text.replace("word = 1.0", 'word = "x"'),
    "weights a number": lambda text: text.replace("[features.weights]", "[features]\nweights = 1\n[other]"),
    "no features": lambda text: text.replace("[features", "[future"),
    "no table": lambda _: 'features = "x"\n',
    "empty": lambda _: "",
    "no TOML": lambda text: text + "\n[[[",
    "deep": lambda text: f"x = {'[' * 5000}{']' * 5000}\n{text}",
}


@pytest.mark.parametrize("harm", TOML)
def test_signed_settings_that_do_not_fit(model: Path, harm: str) -> None:
    text = (model / SETTINGS).read_text()
    assert "bits = 22" in text
    (model / SETTINGS).write_text(TOML[harm](text))
    write(model, read(model), sign=True)
    assert SETTINGS in refusal(model)


def test_settings_that_are_not_utf_8(model: Path) -> None:
    (model / SETTINGS).write_bytes(b"\xff\xfe")
    write(model, read(model), sign=True)
    assert SETTINGS in refusal(model)


def test_the_settings_of_another_model(model: Path) -> None:
    (model / SETTINGS).write_text((model / SETTINGS).read_text().replace("bits = 22", "bits = 20"))
    assert f"{SETTINGS} has SHA-256" in refusal(model)


# Writing


def put(path: Path, text: bytes = b"x", *, force: bool = False) -> Path:
    files = {SETTINGS: b"", "weights.safetensors": text}
    return write_model(path, kind="test", label_set=LABELS, files=files, manifest={"seed": 0}, force=force).path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    put(tmp_path / "a")
    put(tmp_path / "b")
    assert (tmp_path / "a" / MANIFEST).read_bytes() == (tmp_path / "b" / MANIFEST).read_bytes()


def test_a_model_is_replaced_only_by_force(tmp_path: Path) -> None:
    put(tmp_path / "m")
    with pytest.raises(ModelError, match="already holds a model; use --force"):
        put(tmp_path / "m", b"new")
    assert read_model(tmp_path / "m").files["weights.safetensors"] == b"x"
    put(tmp_path / "m", b"new", force=True)
    assert read_model(tmp_path / "m").files["weights.safetensors"] == b"new"
    assert names(tmp_path) == ["m"]


def test_a_damaged_model_can_be_replaced(tmp_path: Path) -> None:
    put(tmp_path / "m")
    (tmp_path / "m" / "weights.safetensors").unlink()
    put(tmp_path / "m", force=True)
    assert read_model(tmp_path / "m")


def test_an_empty_folder_is_vacant(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert put(tmp_path / "m")
    assert put(tmp_path / "new" / "deep" / "m")


def test_a_look_at_an_empty_folder_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    for name in ("m", "link"):
        check_vacant(tmp_path / name, force=False)
    assert names(tmp_path) == ["link", "m"]
    put(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert read_model(tmp_path / "m")
    assert names(tmp_path) == ["link", "m"]


@pytest.mark.parametrize("path", [".", "", "../here", "link", "/"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_in_use_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, force: bool) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if path == "link":
        (tmp_path / "link").symlink_to("here")
        path = str(tmp_path / "link")
    for call in (check_vacant, put):
        with pytest.raises(ModelError, match="which a model cannot replace; name another folder"):
            call(Path(path), force=force)
    assert names(tmp_path / "here") == []


@pytest.mark.parametrize("name", ["m", "deep/m"])
def test_a_parent_that_is_a_file_is_noticed_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"cannot be written: .*file is a file; name another folder"):
        check_vacant(tmp_path / "file" / name, force=True)


FOREIGN: dict[str, dict[str, str]] = {
    "notes": {"notes.txt": "x"},
    "a web page": {"index.html": "x", MANIFEST: '{"name": "my page", "icons": []}'},
    "a manifest of nothing": {MANIFEST: "not JSON"},
    "a manifest that is a list": {MANIFEST: "[]"},
    "a hidden folder": {".git/config": "x"},
    "a hidden file": {".env": "x"},
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("beside_a_model", [False, True])
def test_what_is_no_model_is_never_replaced(tmp_path: Path, kind: str, beside_a_model: bool) -> None:
    folder = tmp_path / "m"
    if beside_a_model:
        put(folder)
    for name, text in FOREIGN[kind].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    before = sorted(folder.rglob("*"))
    for force in (False, True):
        with pytest.raises(ModelError, match=r"is no model folder .*name another folder"):
            check_vacant(folder, force=force)
        with pytest.raises(ModelError):
            put(folder, force=force)
    assert sorted(folder.rglob("*")) == before
    assert names(tmp_path) == ["m"]


def test_the_file_that_makes_a_folder_foreign_is_named(tmp_path: Path) -> None:
    put(tmp_path / "m")
    (tmp_path / "m" / ".env").write_text("x")
    with pytest.raises(ModelError, match=r"is no model folder \(it holds \.env\)"):
        check_vacant(tmp_path / "m", force=True)


@pytest.mark.parametrize("target", ["file", "missing", "m", "loop"])
def test_links_and_files(tmp_path: Path, target: str) -> None:
    put(tmp_path / "m")
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / target)
    if target == "m":
        put(tmp_path / "link", b"new", force=True)
        assert (tmp_path / "link").is_symlink()
        assert read_model(tmp_path / "m").files["weights.safetensors"] == b"new"
    else:
        with pytest.raises(ModelError):
            put(tmp_path / "link", force=True)
    with pytest.raises(ModelError):
        put(tmp_path / "file", force=True)
    assert names(tmp_path) == ["file", "link", "loop", "m"]


@pytest.mark.parametrize("parent", ["file/m", "/proc/nothing/m", "x" * 300, "x" * 5000])
def test_places_where_nothing_can_be_written(tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match="cannot be written"):
        put(tmp_path / parent)
    assert names(tmp_path) == ["file"]


def failing(of: Callable[..., Any], at: int, error: BaseException) -> Callable[..., Any]:
    """The function, but at one of its calls it raises."""
    calls = iter(range(at + 1))

    def call(*args: Any, **options: Any) -> Any:
        if next(calls, None) == at:
            raise error
        return of(*args, **options)

    return call


PLACES = [
    (os, "fsync", 0),
    (os, "fsync", 1),
    (os, "fsync", 2),
    (Path, "rename", 0),
    (Path, "rename", 1),
    (Path, "open", 1),
    (Path, "chmod", 0),
]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError(), SystemExit()], ids=repr
)
@pytest.mark.parametrize(("of", "name", "at"), PLACES)
@pytest.mark.parametrize("old", [False, True])
def test_failures_in_the_middle_leave_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: Any, name: str, at: int, error: BaseException, old: bool
) -> None:
    if old:
        put(tmp_path / "m", b"old")
    raised = ModelError if isinstance(error, OSError) else type(error)
    fails = old or (name, at) != ("rename", 1)  # which is never called then
    with monkeypatch.context() as patch:
        patch.setattr(of, name, failing(getattr(of, name), at, error))
        with pytest.raises(raised) if fails else contextlib.nullcontext():
            put(tmp_path / "m", b"new", force=True)
    assert names(tmp_path) == (["m"] if old or not fails else [])
    if old or not fails:
        assert read_model(tmp_path / "m").files["weights.safetensors"] == (b"old" if fails else b"new")


@pytest.mark.parametrize("step", range(12))
def test_a_kill_never_leaves_half_a_model(tmp_path: Path, step: int) -> None:
    put(tmp_path / "m", b"old")
    if not (child := os.fork()):
        count = iter(range(step))
        for of, name in ((os, "fsync"), (os, "rename"), (os, "mkdir"), (os, "open")):
            real = getattr(of, name)

            def call(*args: Any, real: Any = real, **options: Any) -> Any:
                if next(count, None) is None:
                    os._exit(9)
                return real(*args, **options)

            setattr(of, name, call)
        put(tmp_path / "m", b"new", force=True)
        os._exit(0)
    os.waitpid(child, 0)
    visible = [name for name in names(tmp_path) if not name.startswith(".")]
    # Between its two renames nothing is at the path, and the old model, whole, in a hidden folder beside it.
    place = tmp_path / "m" if visible else next(tmp_path.glob(".m.*.old"))
    assert read_model(place).files["weights.safetensors"] in {b"old", b"new"}
