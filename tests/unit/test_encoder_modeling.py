"""The trained model as transformers knows it: families, loss, padding, and what comes back from a folder."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel

from nutgraf_training.encoder.attention import use_fused_attention
from nutgraf_training.encoder.modeling import NutgrafConfig, NutgrafModel, SharedDropout

LABELS = ("report", "statement", "background")
FAMILIES = ("bert", "roberta", "mpnet", "modernbert")
Pretrained = Callable[[str], Path]

each_family = pytest.mark.parametrize("family", FAMILIES)


@dataclass
class Batch:
    """Two windows: one of 50 tokens with four paragraphs, and one of 23 tokens with two, padded to the first one."""

    ids: Tensor
    mask: Tensor
    segments: Tensor
    positions: Tensor

    def inputs(self) -> dict[str, Tensor]:
        return {
            "input_ids": self.ids,
            "attention_mask": self.mask,
            "segments": self.segments,
            "positions": self.positions,
        }

    def alone(self, window: int, tokens: int, paragraphs: int) -> dict[str, Tensor]:
        return {
            "input_ids": self.ids[window : window + 1, :tokens],
            "segments": self.segments[window : window + 1, :tokens],
            "positions": self.positions[window : window + 1, :paragraphs],
        }


def make_batch(model: NutgrafModel) -> Batch:
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(10, 500, (2, 50), generator=random)
    segments = torch.full((2, 50), -1)
    for paragraph, (start, end) in enumerate([(5, 15), (16, 28), (29, 30), (31, 49)]):
        segments[0, start:end] = paragraph
    for paragraph, (start, end) in enumerate([(1, 10), (11, 22)]):
        segments[1, start:end] = paragraph
    mask = torch.ones(2, 50, dtype=torch.long)
    mask[1, 23:] = 0
    ids[1, 23:] = model.config.encoder.pad_token_id
    return Batch(ids, mask, segments, torch.tensor([[0, 1, 2, 3], [11, 15, 0, 0]]))


def make_model(pretrained: Pretrained, family: str = "bert", **options: Any) -> NutgrafModel:
    torch.manual_seed(0)
    model = NutgrafModel.from_encoder(pretrained(family), LABELS, **options)
    assert isinstance(model, NutgrafModel)
    for layer in (model.dense, model.classifier):  # so that logits are of the size that they have after training
        layer.weight.data *= 20
    model.eval()
    return model


@each_family
def test_frozen_layers_get_no_gradient_and_the_others_do(pretrained: Pretrained, family: str) -> None:
    model = NutgrafModel.from_encoder(pretrained(family), LABELS)
    depth = model.config.encoder.num_hidden_layers
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.freeze(depth - 1)
    rest = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert rest < trained
    assert not any("embeddings" in name for name in rest)
    numbers = {int(part) for name in rest if name.startswith("encoder.") for part in name.split(".") if part.isdigit()}
    assert numbers == {depth - 1}
    with pytest.raises(ValueError, match=f"frozen_layers is {depth + 1}, and the encoder has {depth} layers"):
        model.freeze(depth + 1)


@each_family
def test_what_is_adapted_learns_beside_the_encoder_and_is_merged_into_it(
    pretrained: Pretrained, family: str, tmp_path: Path
) -> None:
    model = make_model(pretrained, family)
    inputs, names = make_batch(model).inputs(), set(model.state_dict())
    depth = model.config.encoder.num_hidden_layers
    before, encoder = model(**inputs).logits, copy.deepcopy(model.encoder)
    model.adapt(0, 0)
    assert set(model.state_dict()) == names
    model.adapt(2, depth - 1)
    assert torch.allclose(model(**inputs).logits, before, atol=1e-5)
    learning = {n: p for n, p in model.named_parameters() if p.requires_grad and n.startswith("encoder.")}
    assert {int(part) for name in learning for part in name.split(".") if part.isdigit()} == {depth - 1}
    assert {min(parameter.shape) for parameter in learning.values()} == {2}
    assert all(p.requires_grad for name, p in model.named_parameters() if not name.startswith("encoder."))
    for parameter in learning.values():
        torch.nn.init.normal_(parameter, std=0.2)
    changed = model(**inputs).logits
    assert not torch.allclose(changed, before, atol=1e-2)
    model.merge()
    assert set(model.state_dict()) == names
    assert torch.allclose(model(**inputs).logits, changed, atol=1e-4)
    for name, weight in encoder.named_parameters():
        change = model.encoder.get_parameter(name) - weight
        assert int(torch.linalg.matrix_rank(change, atol=1e-4)) <= 2 if weight.ndim == 2 else not change.any()
    model.save_pretrained(tmp_path)
    assert torch.allclose(NutgrafModel.from_pretrained(tmp_path)(**inputs).logits, changed, atol=1e-4)


@each_family
def test_the_encoder_is_the_pretrained_one(pretrained: Pretrained, family: str) -> None:
    model = make_model(pretrained, family)
    given = AutoModel.from_pretrained(pretrained(family)).state_dict()
    own = model.encoder.state_dict()
    assert {name for name in given if not name.startswith("pooler.")} == set(own)
    assert all(torch.equal(given[name], value) for name, value in own.items())
    assert {value.dtype for value in own.values() if value.is_floating_point()} == {torch.float32}
    assert model.longest == 128


@each_family
def test_shapes_and_labels(pretrained: Pretrained, family: str) -> None:
    model = make_model(pretrained, family)
    found = model(**make_batch(model).inputs())
    assert found.loss is None
    assert found.logits.shape == (2, 4, 3)
    assert torch.isfinite(found.logits).all()
    assert found.logits[0].std(dim=0).min() > 0.05  # paragraphs differ
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id == {label: number for number, label in enumerate(LABELS)}
    assert model.config.num_labels == 3


@each_family
def test_dropout(pretrained: Pretrained, family: str) -> None:
    """Attention has none, so that fused kernels serve; everything else has what was asked for."""
    model = make_model(pretrained, family, dropout=0.25)
    inputs = make_batch(model).inputs()
    kinds = (torch.nn.Dropout, SharedDropout)
    chances = {name: module.p for name, module in model.named_modules() if isinstance(module, kinds)}
    assert {p for name, p in chances.items() if "attn" not in name and "self" not in name} == {0.25}
    assert any(isinstance(module, SharedDropout) for module in model.encoder.modules())
    assert not any(isinstance(module, torch.nn.Dropout) and module.p for module in model.encoder.modules())
    attention = ("attention_probs_dropout_prob", "attention_dropout")
    assert [getattr(model.config.encoder, key) for key in attention if hasattr(model.config.encoder, key)] == [0.0]
    assert torch.equal(model(**inputs).logits, model(**inputs).logits)
    model.train()
    assert not torch.equal(model(**inputs).logits, model(**inputs).logits)
    none = make_model(pretrained, family, dropout=0.0).train()
    assert torch.equal(none(**inputs).logits, none(**inputs).logits)


def test_dropout_is_shared_by_the_tokens_of_a_sequence() -> None:
    torch.manual_seed(0)
    dropout, hidden = SharedDropout(0.25), torch.randn(40, 7, 64)
    assert torch.equal(dropout.eval()(hidden), hidden)
    found = dropout.train()(hidden)
    kept = found != 0
    assert torch.equal(kept, kept[:, :1].expand_as(kept))
    torch.testing.assert_close(found[kept], hidden[kept] / 0.75)  # as much as before, on average
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert not torch.equal(kept[0], kept[1])
    assert not torch.equal(dropout(hidden) != 0, kept)
    assert torch.equal(SharedDropout(0.0).train()(hidden), hidden)
    assert dropout(hidden.bfloat16()).dtype == torch.bfloat16


def test_a_paragraph_is_the_mean_of_its_tokens(pretrained: Pretrained) -> None:
    model = make_model(pretrained)
    inputs = make_batch(model).alone(0, 50, 4)
    hidden = model.encoder(input_ids=inputs["input_ids"]).last_hidden_state[0]
    logits = model(**inputs).logits[0]
    for paragraph, place in enumerate(inputs["positions"][0]):
        mean = hidden[inputs["segments"][0] == paragraph].mean(dim=0) + model.positions.weight[place]
        torch.testing.assert_close(logits[paragraph], model.classifier(torch.tanh(model.dense(mean))))


@each_family
def test_padding_changes_nothing(pretrained: Pretrained, family: str) -> None:
    model = make_model(pretrained, family)
    batch = make_batch(model)
    together = model(**batch.inputs()).logits
    for window, tokens, paragraphs in ((0, 50, 4), (1, 23, 2)):
        alone = model(**batch.alone(window, tokens, paragraphs)).logits[0]
        torch.testing.assert_close(together[window, :paragraphs], alone, rtol=0, atol=1e-5)
    other = copy.deepcopy(batch)
    other.ids[1, 23:] = 77  # whatever stands in the padding
    torch.testing.assert_close(model(**other.inputs()).logits[1, :2], together[1, :2], rtol=0, atol=1e-5)


def test_the_loss_of_hard_labels(pretrained: Pretrained) -> None:
    model = make_model(pretrained)
    inputs = make_batch(model).inputs()
    labels = torch.tensor([[2, 0, -100, 1], [1, -100, -100, -100]])
    found = model(**inputs, labels=labels)
    chances = found.logits.softmax(dim=-1).tolist()
    known = [(0, 0, 2), (0, 1, 0), (0, 3, 1), (1, 0, 1)]
    by_hand = -sum(math.log(chances[window][place][label]) for window, place, label in known)
    assert found.loss.item() == pytest.approx(by_hand / 4, rel=1e-5)
    assert model(**inputs, labels=labels, num_items_in_batch=10).loss.item() == pytest.approx(by_hand / 10, rel=1e-5)
    of_trainer = model(**inputs, labels=labels, num_items_in_batch=torch.tensor(10))
    assert of_trainer.loss.item() == pytest.approx(by_hand / 10, rel=1e-5)


def test_the_loss_of_soft_targets(pretrained: Pretrained) -> None:
    model = make_model(pretrained)
    inputs = make_batch(model).inputs()
    targets = torch.softmax(torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2)), dim=-1)
    labels = targets.argmax(dim=-1)
    labels[0, 2] = labels[1, 2:] = -100
    found = model(**inputs, labels=labels, targets=targets)
    log = found.logits.log_softmax(dim=-1)
    places = [(0, 0), (0, 1), (0, 3), (1, 0), (1, 1)]
    by_hand = -sum(
        float(targets[window, place, label]) * float(log[window, place, label].detach())
        for window, place in places
        for label in range(3)
    )
    assert found.loss.item() == pytest.approx(by_hand / 5, rel=1e-5)
    hard = torch.nn.functional.one_hot(labels.clamp(min=0), 3).float()
    torch.testing.assert_close(model(**inputs, labels=labels, targets=hard).loss, model(**inputs, labels=labels).loss)


@pytest.mark.parametrize("count", [None, 0, torch.tensor(0)], ids=repr)
def test_windows_without_a_label_teach_nothing(pretrained: Pretrained, count: Any) -> None:
    """And above all no NaN, which would be the end of the run."""
    model = make_model(pretrained)
    found = model(**make_batch(model).inputs(), labels=torch.full((2, 4), -100), num_items_in_batch=count)
    assert found.loss.item() == 0.0
    found.loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert gradients
    assert all((gradient == 0).all() for gradient in gradients)


@each_family
def test_every_weight_is_used(pretrained: Pretrained, family: str) -> None:
    """Or several processes would wait for each other for ever."""
    model = make_model(pretrained, family).train()
    model(**make_batch(model).inputs(), labels=torch.zeros(2, 4, dtype=torch.long)).loss.backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert [name for name, parameter in trained.items() if parameter.grad is None] == []
    frozen = set(dict(model.named_parameters())) - set(trained)
    assert frozen == ({"encoder.encoder.relative_attention_bias.weight"} if family == "mpnet" else set())


@each_family
def test_what_was_saved_comes_back(pretrained: Pretrained, family: str, tmp_path: Path) -> None:
    model = make_model(pretrained, family, dropout=0.3)
    for parameter in model.parameters():  # nothing is as it was made
        parameter.data += 0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
    inputs = make_batch(model).inputs()
    expected = model(**inputs).logits
    model.save_pretrained(tmp_path / "m")
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"config.json", "model.safetensors"}
    again, found = NutgrafModel.from_pretrained(tmp_path / "m", output_loading_info=True)
    assert not any(found.values()), found
    assert not again.training
    assert torch.equal(again(**inputs).logits, expected)
    assert [p.requires_grad for p in again.parameters()] == [p.requires_grad for p in model.parameters()]

    config = AutoConfig.from_pretrained(tmp_path / "m")
    assert isinstance(config, NutgrafConfig)
    assert type(config.encoder) is type(model.config.encoder)
    assert (config.id2label, config.positions, config.head_dropout) == (dict(enumerate(LABELS)), 16, 0.3)
    fresh = NutgrafModel(config)
    assert {name: value.shape for name, value in fresh.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }


@each_family
def test_no_path_is_saved(pretrained: Pretrained, family: str, tmp_path: Path) -> None:
    make_model(pretrained, family).save_pretrained(tmp_path / "m")
    text = (tmp_path / "m" / "config.json").read_text(encoding="utf-8")
    assert str(pretrained(family)) not in text
    assert pretrained(family).name not in text
    assert json.loads(text)["encoder"]["model_type"] == family


@pytest.mark.parametrize("short", [0, 384])
@pytest.mark.parametrize("padded", [True, False])
def test_fused_attention_is_that_of_transformers(
    pretrained: Pretrained, padded: bool, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nutgraf_training.encoder.attention._SHORT", short)
    model = make_model(pretrained, "mpnet")
    theirs = AutoModel.from_pretrained(pretrained("mpnet"), attn_implementation="eager").eval()
    with torch.no_grad():  # as made, it is next to nothing, and would not be missed
        theirs.encoder.relative_attention_bias.weight.normal_(generator=torch.Generator().manual_seed(4))
        model.encoder.load_state_dict(theirs.state_dict(), strict=False)
    batch = make_batch(model)
    mask = batch.mask if padded else torch.ones_like(batch.mask)
    ours = model.encoder(input_ids=batch.ids, attention_mask=mask).last_hidden_state
    expected = theirs(input_ids=batch.ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(ours[mask > 0], expected[mask > 0], rtol=0, atol=1e-5)
    with torch.no_grad():
        theirs.encoder.relative_attention_bias.weight.zero_()
    without = theirs(input_ids=batch.ids, attention_mask=mask).last_hidden_state
    assert (without - expected)[mask > 0].abs().max() > 0.01
    weights = [f"encoder.layer.{layer}.attention.attn.{part}.weight" for layer in (0, 1) for part in "qkvo"]
    (ours[mask > 0] ** 3).sum().backward()
    theirs.zero_grad()
    theirs.encoder.relative_attention_bias.load_state_dict(model.encoder.encoder.relative_attention_bias.state_dict())
    (theirs(input_ids=batch.ids, attention_mask=mask).last_hidden_state[mask > 0] ** 3).sum().backward()
    for name in weights:
        torch.testing.assert_close(
            model.encoder.get_parameter(name).grad, theirs.get_parameter(name).grad, rtol=1e-3, atol=1e-3
        )


def test_fused_attention_in_half_precision(pretrained: Pretrained) -> None:
    model = make_model(pretrained, "mpnet")
    inputs = make_batch(model).inputs()
    with torch.autocast("cpu", torch.bfloat16):
        half = model(**inputs).logits
    assert torch.isfinite(half).all()
    torch.testing.assert_close(half.float(), model(**inputs).logits, rtol=0, atol=0.1)


def test_a_copy_of_fused_attention_is_its_own(pretrained: Pretrained) -> None:
    model = make_model(pretrained, "mpnet")
    inputs = make_batch(model).inputs()
    before = model(**inputs).logits
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert (other(**inputs).logits == 0).all()
    assert torch.equal(model(**inputs).logits, before)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "mpnet"])
def test_other_families_are_left_alone(pretrained: Pretrained, family: str) -> None:
    encoder = AutoModel.from_pretrained(pretrained(family))
    use_fused_attention(encoder)
    assert not any("forward" in vars(module) for module in encoder.modules())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_what_is_missing_is_said(pretrained: Pretrained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the configuration has no encoder"):
        NutgrafModel(NutgrafConfig())
    with pytest.raises(ValueError, match="segments and positions are needed"):
        make_model(pretrained)(input_ids=torch.ones(1, 4, dtype=torch.long))
    with pytest.raises(OSError, match="nowhere"):
        NutgrafModel.from_encoder(tmp_path / "nowhere", LABELS)
