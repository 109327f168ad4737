"""The exported graph: it gives what the trained model gives, is small, and says nothing about this machine."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

import nutgraf_training.encoder.fit as fitting
from nutgraf.encoder import INPUTS, OUTPUT, graph_inputs
from nutgraf.graph import check_graph
from nutgraf.windows import Window, encode, windows
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.encoder.export import export_graph
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.encoder.quantise import round_weights
from nutgraf_training.recipe import EncoderRecipe

FAMILIES = ("bert", "roberta", "mpnet", "modernbert")
Pretrained = Callable[[str], Path]
MakeRecipe = Callable[..., EncoderRecipe]
Floats = NDArray[np.floating[Any]]


@dataclass
class Exported:
    """A model of a family, its graphs, and windows of several lengths."""

    model: NutgrafModel
    graphs: dict[str, bytes]
    windows: list[Window]
    settings: Any
    special: tuple[int, int]

    def of_torch(self) -> list[Floats]:
        with torch.inference_mode():
            return [
                self.model(**{name: torch.from_numpy(value) for name, value in graph_inputs(window).items()})
                .logits[0]
                .numpy()
                for window in self.windows
            ]

    def of_graph(self, precision: str) -> list[Floats]:
        session = onnxruntime.InferenceSession(self.graphs[precision], providers=["CPUExecutionProvider"])
        return [session.run([OUTPUT], graph_inputs(window))[0][0] for window in self.windows]


def make_model(folder: Path) -> NutgrafModel:
    """Its classifier is made by hand, so that labels are as decided as after training."""
    torch.manual_seed(0)
    model = NutgrafModel.from_encoder(folder, NEWS_ROLES.labels)
    with torch.no_grad():
        model.dense.weight.normal_(std=0.3)
        model.classifier.weight.normal_(std=1.0)
        model.positions.weight.normal_(std=0.3)
    model.eval()
    return model


@pytest.fixture(scope="module")
def exported(
    request: pytest.FixtureRequest, pretrained: Pretrained, encoder_recipe: MakeRecipe, authored: list[Article]
) -> Exported:
    folder = pretrained(request.param)
    model = make_model(folder)
    graphs = {precision: export_graph(model, precision=precision, tokens=128) for precision in ("fp32", "int8")}
    graphs["int8, by token"] = export_graph(model, precision="int8", scale="token", tokens=128)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = tokenizer.encode("").ids
    settings = encoder_recipe(request.param).window
    short = Article.from_paragraphs(["Fire."], id="short")
    blank = Article.from_paragraphs(["\u200b", "A fire broke out.", "\u200b"], id="blank", headline="Fire")
    found = [
        window
        for given in encode([short, blank, *authored[:25]], tokenizer, settings)
        for window in windows(given, settings, special[0], special[-1])
    ]
    return Exported(model, graphs, found, settings, (special[0], special[-1]))


each_family = pytest.mark.parametrize("exported", FAMILIES, indirect=True)
bert_alone = pytest.mark.parametrize("exported", ["bert"], indirect=True)


@each_family
def test_the_graph_gives_what_the_model_gives(exported: Exported) -> None:
    assert {len(window.paragraphs) for window in exported.windows} >= {1, 2, 3}
    lengths = [len(window.ids) for window in exported.windows]
    assert min(lengths) < 8
    assert max(lengths) > 120
    ours, theirs = exported.of_graph("fp32"), exported.of_torch()
    for own, other in zip(ours, theirs, strict=True):
        assert own.dtype == np.float32
        np.testing.assert_allclose(own, other, rtol=0, atol=1e-4)
    assert np.concatenate(ours).std(axis=0).min() > 0.1  # or the line above says little


@each_family
def test_int8_gives_nearly_the_same_labels(exported: Exported) -> None:
    theirs = np.concatenate(exported.of_graph("fp32"))
    for precision in ("int8", "int8, by token"):
        ours = np.concatenate(exported.of_graph(precision))
        assert len(ours) > 200
        assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
        assert not np.array_equal(ours, theirs)
        assert len(exported.graphs[precision]) < 0.45 * len(exported.graphs["fp32"])


@bert_alone
def test_a_scale_for_every_token_spares_the_others(exported: Exported) -> None:
    """One token with a value a hundred times as large as the others' makes the steps of its whole window coarse."""
    model, window = copy.deepcopy(exported.model), max(exported.windows, key=lambda window: len(window.ids))
    inputs = graph_inputs(window)
    wide, seen = model.encoder.encoder.layer[0].intermediate.dense, []
    hook = wide.register_forward_pre_hook(lambda _, given: seen.append(given[0][0, 10]))
    with torch.no_grad():
        model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        hook.remove()
        wide.weight[0], wide.bias[0] = 300.0 * seen[0] / (seen[0] @ seen[0]), -150.0
        model.encoder.encoder.layer[0].output.dense.weight[:, 0] *= 0.1

    def logits(**how: str) -> Floats:
        graph = export_graph(model, tokens=128, **{"precision": "int8", **how})
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        found: Floats = session.run([OUTPUT], inputs)[0]
        return found

    full = logits(precision="fp32")
    by_window, by_token = (float(np.square(logits(scale=scale) - full).mean()) for scale in ("window", "token"))
    assert by_token < 0.8 * by_window


@each_family
def test_the_graph_has_the_inputs_and_the_output_that_are_run(exported: Exported) -> None:
    for content in exported.graphs.values():
        check_graph(content)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        assert {(each.name, each.type) for each in session.get_inputs()} == {(name, "tensor(int64)") for name in INPUTS}
        (output,) = session.get_outputs()
        assert (output.name, output.type, output.shape[-1]) == (OUTPUT, "tensor(float)", len(NEWS_ROLES))
        onnx.checker.check_model(onnx.load_from_string(content))


@each_family
def test_the_graph_names_no_file(exported: Exported, pretrained: Pretrained) -> None:
    here = [Path(__file__).parents[2], Path.home(), Path(sys.prefix), pretrained("bert").parents[1]]
    for content in exported.graphs.values():
        for part in [b"site-packages", b".venv", b".py", b"nutgraf_training", *(bytes(path) for path in here)]:
            assert part not in content, part
        model = onnx.load_from_string(content)
        assert not model.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


@bert_alone
def test_the_same_model_gives_the_same_bytes(exported: Exported) -> None:
    assert export_graph(exported.model, precision="int8", tokens=128) == exported.graphs["int8"]


@bert_alone
def test_exporting_leaves_the_model_as_it_was(exported: Exported, pretrained: Pretrained) -> None:
    fresh = make_model(pretrained("bert")).state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in exported.model.state_dict().items())


@pytest.mark.parametrize("exported", ["bert", "roberta"], indirect=True)
@pytest.mark.parametrize("precision", ["fp32", "int8, by token"])
def test_attention_reads_the_linear_layers_as_they_are(exported: Exported, precision: str) -> None:
    nodes = onnx.load_from_string(exported.graphs[precision]).graph.node
    attention = [node for node in nodes if node.op_type == "Attention"]
    assert len(attention) == exported.model.config.encoder.num_hidden_layers
    assert {len(node.input) for node in attention} == {3}  # no mask
    assert "Transpose" not in {node.op_type for node in nodes}


@each_family
def test_rounded_weights_are_what_int8_stores(exported: Exported) -> None:
    rounded = copy.deepcopy(exported.model)
    round_weights(rounded.encoder)
    graph = onnx.load_from_string(export_graph(rounded, precision="int8", tokens=128))
    before = onnx.load_from_string(exported.graphs["int8"])
    stored, theirs = (
        [onnx.numpy_helper.to_array(t) for t in g.graph.initializer if t.data_type == onnx.TensorProto.INT8]
        for g in (graph, before)
    )
    assert len(stored) == len(theirs) > 6
    for own, other in zip(stored, theirs, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_come_back_from_a_graph(pretrained: Pretrained, family: str, tmp_path: Path) -> None:
    model = make_model(pretrained(family))
    with torch.no_grad():
        for weight in model.parameters():  # equal ones would be stored once
            weight.add_(torch.randn_like(weight), alpha=0.01)
    model.config.save_pretrained(tmp_path)
    expected = model.state_dict()
    for precision, scale in (("fp32", "window"), ("int8", "window"), ("int8", "token")):
        graph = export_graph(model, precision=precision, scale=scale, tokens=128)
        (tmp_path / "model.onnx").write_bytes(graph)
        found = NutgrafModel.from_encoder(tmp_path, NEWS_ROLES.labels).state_dict()
        assert found.keys() == expected.keys()
        for name, weight in expected.items():
            near = 1e-6 if precision == "fp32" else float(weight.abs().max()) / 64
            torch.testing.assert_close(found[name], weight, rtol=0.0, atol=near, msg=f"{precision}, {scale}: {name}")
    other = NutgrafModel.from_encoder(tmp_path, NEWS_ROLES.labels[::-1]).state_dict()  # as many, of other meaning
    assert not torch.allclose(other["classifier.weight"], expected["classifier.weight"], atol=0.1)
    torch.testing.assert_close(other["dense.weight"], found["dense.weight"])


@bert_alone
def test_int8_that_changes_labels_is_not_written(
    exported: Exported,
    encoder_recipe: MakeRecipe,
    authored: list[Article],
    monkeypatch: pytest.MonkeyPatch,
    pretrained: Pretrained,
) -> None:
    """Stand in for int8: classifiers that give another label to some paragraphs."""
    graphs = {"fp32": exported.graphs["fp32"]}
    for scale, factor in (("window", 0.5), ("token", 0.9)):
        other = onnx.load_from_string(exported.graphs["fp32"])
        (weight,) = (tensor for tensor in other.graph.initializer if tensor.name.endswith("classifier.inner.weight"))
        changed = onnx.numpy_helper.to_array(weight) * np.array([[factor], *[[1.0]] * 6], dtype=np.float32)
        weight.CopyFrom(onnx.numpy_helper.from_array(changed, weight.name))
        graphs[scale] = other.SerializeToString()

    def stand_in(model: NutgrafModel, *, precision: str, tokens: int, scale: str = "") -> bytes:
        return graphs[scale or precision]

    monkeypatch.setattr(fitting, "export_graph", stand_in)
    tokenizer = Tokenizer.from_file(str(pretrained("bert") / "tokenizer.json"))
    compared = [
        window
        for article in encode(authored[:6], tokenizer, exported.settings)
        for window in windows(article, exported.settings, *exported.special)
    ]
    lines: list[str] = []

    def export(precision: str, agreement: float) -> tuple[bytes, dict[str, Any]]:
        lines.clear()
        recipe = encoder_recipe(export={"precision": precision, "agreement": agreement})
        return fitting._export(exported.model, compared, recipe, lines.append)

    content, record = export("int8", 1.0)
    shares = record["int8_agrees_with_fp32"]
    assert list(shares) == ["window", "token"]
    assert 0.5 < shares["window"] < shares["token"] < 1.0
    paragraphs = sum(len(article.paragraphs) for article in authored[:6])
    assert record == {"precision": "fp32", "int8_agrees_with_fp32": shares, "paragraphs_compared": paragraphs}
    assert content == graphs["fp32"]
    assert lines[0] == "exporting"
    for line, scale in zip(lines[1:3], shares, strict=True):
        said = rf"int8 with a scale for every {scale} gives the label of fp32 to \d\d\.\d% of paragraphs, "
        assert re.fullmatch(said + r"less than export\.agreement = 1\.0", line)
    assert len(lines) == 4
    assert lines[3].startswith("warning: the model is written in fp32; in a copy of the recipe, ")
    small = {**record, "precision": "int8"}
    assert export("int8", shares["token"] - 1e-3) == (graphs["token"], small)
    assert len(lines) == 2
    assert export("int8", 0.5) == (graphs["window"], {**small, "int8_agrees_with_fp32": {"window": shares["window"]}})
    assert lines == ["exporting"]
    assert export("fp32", 1.0) == (graphs["fp32"], {"precision": "fp32"})
