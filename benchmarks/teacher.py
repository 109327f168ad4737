"""Keeps a teacher as what it learned beside its encoder, a few megabytes, and makes its model folder again from those.

What low-rank adaptation (``fit.lora_rank``) changes of a matrix is the product of two narrow ones. ``keep`` finds those
of a model folder with its weights (``export.keep_weights``) by singular values; ``restore`` adds them to the encoder.
The card keeps the figures of the model as it was trained: those of what is restored are a little other.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from nutgraf.artefact import MANIFEST, ModelFolder, read_model, write_model
from nutgraf.encoder import GRAPH
from nutgraf_data.errors import ModelError
from nutgraf_data.labels import LabelSet
from nutgraf_training.encoder.export import export_graph
from nutgraf_training.encoder.fit import weights_digest
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.encoder.teacher import KEPT

_, WEIGHTS = KEPT
ADAPTER = "adapter.safetensors"
#: What the adapter says of the encoder that it was taken beside: others are refused.
ENCODER = "encoder_sha256"
_OF_THE_FOLDER = {"format", "kind", "label_set", "labels", "files", "digest"}


def main() -> None:
    """Keeps or restores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["keep", "restore"])
    parser.add_argument(
        "--encoder", type=Path, default=Path(".encoders/all-mpnet-base-v2"), help="its encoder's folder"
    )
    parser.add_argument("--teacher", type=Path, default=Path("teacher"), help="its model folder")
    parser.add_argument("--kept", type=Path, default=Path("training/teacher"), help="the folder of what it learned")
    parser.add_argument("--rank", type=int, default=48, help="of what is kept of a matrix")
    options = parser.parse_args()
    if options.what == "keep":
        share = keep(read_model(options.teacher), options.encoder, options.kept, options.rank)
        size = (options.kept / ADAPTER).stat().st_size
        print(f"{options.kept}: {size / 1e6:.1f} MB hold {share:.4%} of the squared change of the encoder's weights")
    else:
        print(f"{options.teacher}: {restore(options.kept, options.encoder, options.teacher).fingerprint}")


def keep(model: ModelFolder, encoder: Path, kept: Path, rank: int) -> float:
    """Writes what a model learned, in half precision, and all its small files.

    Args:
        model: of kind ``encoder``, with its weights.
        encoder: the folder of the encoder that it began with.
        kept: the folder to write.
        rank: how many singular values of a matrix's change are kept.

    Returns:
        which share of the squared change those are.

    Raises:
        ModelError: it has no weights, or more of it changed than the matrices of the encoder's layers.
    """
    if WEIGHTS not in model.files:
        raise model.refuse(f"it has no {WEIGHTS}", "train it with export.keep_weights = true")
    base = NutgrafModel.from_encoder(encoder, model.label_set.labels)
    before, after = base.state_dict(), load(model.files[WEIGHTS])
    found: dict[str, Tensor] = {}
    whole = part = 0.0
    for name, weight in after.items():
        if not name.startswith("encoder."):
            found[name] = weight.half()
        elif not torch.equal(weight, before[name]):
            if not name.endswith(".weight") or weight.ndim != 2 or min(weight.shape) < rank:
                raise model.refuse(f"its {name} is not the encoder's", "train it with fit.lora_rank")
            left, values, right = torch.linalg.svd(weight - before[name], full_matrices=False)
            root = values[:rank].sqrt()
            found |= {
                f"{name}.left": (left[:, :rank] * root).half(),
                f"{name}.right": (root[:, None] * right[:rank]).half(),
            }
            whole, part = whole + float(values.square().sum()), part + float(values[:rank].square().sum())
    kept.mkdir(parents=True, exist_ok=True)
    for name, content in model.files.items():
        if name not in {GRAPH, WEIGHTS}:
            (kept / name).write_bytes(content)
    (kept / MANIFEST).write_bytes((model.path / MANIFEST).read_bytes())
    save_file(
        {name: each.contiguous() for name, each in found.items()}, kept / ADAPTER, {ENCODER: weights_digest(base)}
    )
    return part / whole if whole else 1.0


def restore(kept: Path, encoder: Path, path: Path) -> ModelFolder:
    """Writes the model folder of what ``keep`` kept.

    Args:
        kept: the folder that ``keep`` wrote.
        encoder: the folder of the same encoder.
        path: the folder to write.

    Raises:
        ModelError: it is another encoder, or something is at ``path`` already.
    """
    manifest = json.loads((kept / MANIFEST).read_text(encoding="utf-8"))
    files = {name: (kept / name).read_bytes() for name in manifest["files"] if name not in {GRAPH, WEIGHTS}}
    labels = LabelSet(manifest["label_set"], {each["name"]: each["description"] for each in manifest["labels"]})
    model = NutgrafModel.from_encoder(encoder, labels.labels)
    with safe_open(kept / ADAPTER, "pt") as opened:
        if (opened.metadata() or {}).get(ENCODER) != weights_digest(model):
            raise ModelError(f"{encoder} is not the encoder that {kept} was taken beside; name that with --encoder")
    model.load_state_dict(_together(model.state_dict(), load_file(kept / ADAPTER)))
    tokens = tomllib.loads(files["settings.toml"].decode())["window"]["tokens"]
    files |= {GRAPH: export_graph(model, precision="fp32", tokens=tokens), WEIGHTS: save(model.state_dict())}
    rest = {key: value for key, value in manifest.items() if key not in _OF_THE_FOLDER}
    return write_model(path, kind=manifest["kind"], label_set=labels, files=files, manifest=rest)


def _together(state: Mapping[str, Tensor], learned: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights with the products of the narrow matrices added, and what is above it replaced."""
    found = {}
    for name, weight in state.items():
        if f"{name}.left" in learned:
            found[name] = weight + learned[f"{name}.left"].float() @ learned[f"{name}.right"].float()
        else:
            found[name] = learned[name].float() if name in learned else weight
    return found


if __name__ == "__main__":
    main()
