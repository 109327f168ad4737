"""The model folder: written whole or not at all, and read only after every check.

A folder holds ``manifest.json``, ``settings.toml`` (the resolved recipe), weights as safetensors, ``README.md`` (the
model card), and what else its kind needs. The manifest lists every other file with its size and SHA-256, and carries a
digest of itself. Nothing in a folder is ever executed or unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import LabelSet

__all__ = ["FORMAT", "MANIFEST", "ModelFolder", "check_vacant", "read_model", "write_model"]

#: The format that is written. Readers of older formats stay in ``_READERS``.
FORMAT = 1

MANIFEST = "manifest.json"
_MAX_MANIFEST = 16 * 2**20
_EXECUTABLE = {".pkl", ".pickle", ".joblib", ".bin", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".py", ".so"}
_MEND = "copy the folder again from where it came from, or train the model anew"


@dataclass(frozen=True)
class ModelFolder:
    """A model folder that passed its checks.

    Attributes:
        path: where it is.
        manifest: all of ``manifest.json``.
        label_set: the labels in the order of the weights.
        settings: the resolved recipe.
        files: name → content of every file listed in the manifest.
        fingerprint: 16 hexadecimal digits that name exactly this model.
    """

    path: Path
    manifest: Mapping[str, Any]
    label_set: LabelSet
    settings: Mapping[str, Any]
    files: Mapping[str, bytes]
    fingerprint: str

    @property
    def kind(self) -> str:
        """``linear`` or ``encoder``."""
        return str(self.manifest["kind"])

    def refuse(self, found: str, mend: str = _MEND) -> ModelError:
        """A ModelError about this folder."""
        return _refuse(self.path, found, mend)


def read_model(path: str | Path) -> ModelFolder:
    """Reads and checks a model folder.

    Raises:
        ModelError: the folder or a file is missing, truncated, changed, unlisted, of a future format, of a type that
            can carry code, or contradicts the manifest.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    number = manifest.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise _refuse(path, f"its format is {number!r}, expected a whole number from 1 to {FORMAT}")
    if number > FORMAT:
        raise _refuse(
            path,
            f"its format is {number}, and this version of nutgraf reads formats up to {FORMAT}",
            "install a newer nutgraf, or train the model anew with this one",
        )
    return _READERS[number](path, manifest)


def _read_format_1(path: Path, manifest: dict[str, Any]) -> ModelFolder:
    digest = manifest.get("digest")
    if not isinstance(digest, str) or digest != _digest(manifest):
        raise _refuse(path, "manifest.json was changed after it was written (its digest does not fit)")
    if not isinstance(manifest.get("kind"), str):
        raise _refuse(path, f"its kind is {manifest.get('kind')!r}, expected the name of a kind of tagger")
    listed = manifest.get("files")
    if not isinstance(listed, dict) or "settings.toml" not in listed:
        raise _refuse(path, "manifest.json does not list the folder's files")
    for name in listed:
        if name != Path(name).name or name in {"", ".", "..", MANIFEST} or not name.isprintable() or "\\" in name:
            raise _refuse(path, f"manifest.json lists {name!r}, which is not a plain file name inside the folder")
        if Path(name).suffix.lower() in _EXECUTABLE:
            raise _refuse(path, f"manifest.json lists {name!r}, a type of file that can carry code")
    for found in _entries(path):
        hidden = found.name.startswith(".") and found.suffix.lower() not in _EXECUTABLE
        if found.name != MANIFEST and found.name not in listed and not hidden:
            raise _refuse(path, f"{found.name} is not listed in its manifest", "remove that file; it is never read")
    files = {name: _read_file(path, name, entry) for name, entry in listed.items()}
    try:
        labels = {str(entry["name"]): str(entry["description"]) for entry in manifest["labels"]}
        if len(labels) != len(manifest["labels"]):
            raise ValueError("a label occurs twice")
        label_set = LabelSet(str(manifest["label_set"]), labels)
        settings = tomllib.loads(files["settings.toml"].decode())
    except (KeyError, TypeError, ValueError, DataError, RecursionError) as error:
        raise _refuse(path, f"manifest.json or settings.toml is malformed ({error!r})") from None
    return ModelFolder(path, manifest, label_set, settings, files, str(digest)[:16])


_READERS = {1: _read_format_1}


def _read_manifest(path: Path) -> dict[str, Any]:
    if not os.path.isdir(path):  # unlike Path.is_dir, it never raises
        what = "is a file" if os.path.exists(path) else "does not exist"
        raise _refuse(path, f"it {what}, expected a folder", "name a model folder, or a bundled model")
    try:
        if (size := _size(path, MANIFEST)) > _MAX_MANIFEST:
            raise _refuse(path, f"manifest.json has {size:,} bytes, expected at most {_MAX_MANIFEST:,}")
        manifest = json.loads((path / MANIFEST).read_bytes())
        _digest(manifest if isinstance(manifest, dict) else {})  # what can just be read may be too deep to be written
    except FileNotFoundError:
        raise _refuse(
            path, "it has no manifest.json, so it is no model folder", "name the folder that train wrote"
        ) from None
    except OSError as error:
        raise _refuse(path, f"manifest.json cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _refuse(path, f"manifest.json is not valid JSON ({error})") from None
    if not isinstance(manifest, dict):
        raise _refuse(path, f"manifest.json holds a {type(manifest).__name__}, expected an object")
    return manifest


def _read_file(path: Path, name: str, entry: Any) -> bytes:
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("sha256"), str)
        or not isinstance(entry.get("size"), int)
    ):
        raise _refuse(path, f"manifest.json does not give the size and SHA-256 of {name}")
    file = path / name
    try:
        if (size := _size(path, name)) != entry["size"]:
            raise _refuse(path, f"{name} has {size:,} bytes, expected {entry['size']:,}")
        content = file.read_bytes()
    except FileNotFoundError:
        raise _refuse(path, f"{name} is missing") from None
    except OSError as error:
        raise _refuse(path, f"{name} cannot be read: {error.strerror}") from None
    if (found := hashlib.sha256(content).hexdigest()) != entry["sha256"]:
        raise _refuse(path, f"{name} has SHA-256 {found[:12]}…, expected {entry['sha256'][:12]}…")
    return content


def _size(path: Path, name: str) -> int:
    """The size of a file of the folder.

    Raises:
        ModelError: it is a link, which may lead anywhere, or another thing whose content cannot be relied on.
        OSError: it is missing.
    """
    found = (path / name).lstat()
    if not stat.S_ISREG(found.st_mode):
        raise _refuse(path, f"{name} is a link or a special file, expected a plain file")
    return found.st_size


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError as error:
        raise _refuse(path, f"the folder cannot be listed: {error.strerror}") from None


def write_model(
    path: str | Path,
    *,
    kind: str,
    label_set: LabelSet,
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    force: bool = False,
) -> ModelFolder:
    """Writes a model folder: into a temporary folder beside it, synced, then renamed.

    Args:
        path: the folder to make.
        kind: which tagger reads it.
        label_set: the labels in the order of the weights.
        files: name → content of every file but the manifest.
        manifest: what else the manifest says (versions, training data, seed, metrics); no times or machine paths, so
            that the same training gives the same bytes.
        force: replace a model folder that is already there. Anything else that is there is never replaced.

    Raises:
        ModelError: something is at ``path`` already, or the disk refused.
    """
    check_vacant(path, force=force)
    path = Path(path).resolve()  # a link stays, and what it leads to is replaced, an empty folder as well
    record: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind,
        "label_set": label_set.name,
        "labels": [{"name": name, "description": text} for name, text in label_set.descriptions.items()],
        **manifest,
        "files": {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(files.items())
        },
    }
    record["digest"] = _digest(record)
    everything = {**files, MANIFEST: (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode()}
    made: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        made.chmod(0o755)
        for name, content in everything.items():
            with (made / name).open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        if path.exists():
            old = made.with_name(made.name + ".old")
            try:
                path.rename(old)
                made.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            made.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ModelError(f"{path}: the model cannot be written: {error.strerror or error}") from None
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return read_model(path)


def check_vacant(path: str | Path, *, force: bool) -> None:
    """Refuses a path where a model cannot be written; call it before hours of training, too. It changes nothing.

    Raises:
        ModelError: something is there, and it is no model folder or ``force`` is false; or a folder cannot be renamed
            to it: it is in use as the working directory or a mount point, or inside of a file.
    """
    path = Path(path)
    try:
        place, here = Path(os.path.realpath(path)), Path(os.path.realpath(os.curdir))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the model cannot be written: {error}; name another folder") from None
    if place == here or os.path.ismount(place):
        what = "the current working directory" if place == here else "the top of a file system"
        raise ModelError(f"{path} is {what}, which a model cannot replace; name another folder, as in {path / 'model'}")
    above = next((parent for parent in place.parents if os.path.lexists(parent)), None)
    if above is not None and not os.path.isdir(above):
        raise ModelError(f"{path}: the model cannot be written: {above} is a file; name another folder")
    if not os.path.lexists(path) or (os.path.isdir(path) and not _entries(path)):
        return
    if (foreign := _foreign(path)) is not None:
        raise ModelError(
            f"{path} exists and is no model folder ({foreign}), so it is not replaced; name another folder"
        )
    if not force:
        raise ModelError(f"{path} already holds a model; use --force to replace it, or name another folder")


def _foreign(path: Path) -> str | None:
    """What shows that a folder is not, or not only, a model; None where nothing but a model would be lost with it."""
    try:
        manifest = _read_manifest(path)
        entries = _entries(path)
    except ModelError as error:
        return str(error).split(": ", 1)[-1].rsplit("; ", 1)[0]
    files = manifest.get("files")
    if not isinstance(files, dict) or not {"format", "kind", "labels", "digest"} <= manifest.keys():
        return "its manifest.json is not that of a model"
    for found in entries:
        if found.name not in {MANIFEST, *files} or not found.is_file():
            return f"it holds {found.name}"
    return None


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _refuse(path: Path, found: str, mend: str = _MEND) -> ModelError:
    return ModelError(f"{path} is refused as a model: {found}; {mend}")
