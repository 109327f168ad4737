"""The model as transformers knows it: an encoder, the mean of each paragraph's tokens, and a small classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from nutgraf.encoder import GRAPH
from nutgraf.windows import POSITIONS
from nutgraf_training.encoder.attention import use_fused_attention
from nutgraf_training.encoder.restore import restore

__all__ = ["IGNORED", "NutgrafConfig", "NutgrafModel", "SharedDropout"]

#: The label of a place where no paragraph is, or none that is learned from; transformers counts what is not this.
IGNORED = -100


class NutgrafConfig(PreTrainedConfig):
    """What a NutgrafModel is made of.

    Args:
        encoder: the configuration of the encoder, or its ``to_dict``.
        positions: how many embeddings of a paragraph's place in its article there are.
        head_dropout: dropout before the classifier.
        kwargs: what every configuration takes, ``id2label`` among it.
    """

    model_type = "nutgraf"
    sub_configs = {"encoder": AutoConfig}  # noqa: RUF012  (transformers reads it from the class)

    def __init__(
        self,
        encoder: PreTrainedConfig | dict[str, Any] | None = None,
        positions: int = POSITIONS,
        head_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if isinstance(encoder, dict):
            values = {key: value for key, value in encoder.items() if key != "model_type"}
            encoder = AutoConfig.for_model(encoder["model_type"], **values)
        self.encoder: Any = encoder
        self.positions = positions
        self.head_dropout = head_dropout
        super().__init__(**kwargs)


class NutgrafModel(PreTrainedModel):
    """Labels every paragraph of a window.

    Args:
        config: with the encoder's own configuration inside.
    """

    config: NutgrafConfig
    config_class = NutgrafConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True
    accepts_loss_kwargs = True

    def __init__(self, config: NutgrafConfig) -> None:
        super().__init__(config)
        if config.encoder is None:
            raise ValueError("the configuration has no encoder; NutgrafModel.from_encoder makes a model from one")
        width = config.encoder.hidden_size
        self.encoder = _prepared(AutoModel.from_config(config.encoder))
        self.positions = nn.Embedding(config.positions, width)
        self.dropout = nn.Dropout(config.head_dropout)
        self.dense = nn.Linear(width, width)
        self.classifier = nn.Linear(width, config.num_labels)
        self.post_init()

    @classmethod
    def from_encoder(
        cls,
        name: str | Path,
        labels: Sequence[str],
        *,
        dropout: float = 0.1,
        revision: str = "main",
    ) -> NutgrafModel:
        """A model with a pretrained encoder and a classifier that knows nothing yet.

        Args:
            name: of an encoder on the hub, or a folder; or the folder of a NutgrafModel, of which all is taken, but of
                its classifier only where it has the same labels. Where that kept no weights, those of its graph are.
            labels: in order.
            dropout: of the encoder's hidden states and before the classifier. The encoder's attention has none:
                fused kernels are several times faster without.
            revision: of the encoder on the hub.

        Raises:
            OSError: there is no such encoder, or none in safetensors.
            ValueError: the graph of a folder without weights does not fit its configuration.
        """
        found = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        config = found.encoder if isinstance(found, NutgrafConfig) else found
        for key, value in (
            ("hidden_dropout_prob", dropout),
            ("attention_probs_dropout_prob", 0.0),
            ("attention_dropout", 0.0),
            ("mlp_dropout", dropout),
            ("embedding_dropout", dropout),
        ):
            if hasattr(config, key):  # families name it differently
                setattr(config, key, value)
        own = NutgrafConfig(
            encoder=config,
            head_dropout=dropout,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )
        settings = {"revision": revision, "dtype": torch.float32, "use_safetensors": True, "trust_remote_code": False}
        if isinstance(found, NutgrafConfig):
            if Path(name, GRAPH).is_file() and not Path(name, "model.safetensors").is_file():
                model = cls(own)
                restore(model, Path(name, GRAPH).read_bytes())
            else:
                model = cls.from_pretrained(name, config=own, ignore_mismatched_sizes=True, **settings)
            if found.id2label != own.id2label:
                model._init_weights(model.classifier)
        else:
            model = cls(own)
            model.encoder = _prepared(AutoModel.from_pretrained(name, config=config, **settings))
        for each in (own.encoder, model.encoder.config):
            each._name_or_path = ""  # it may be a path, which says nothing elsewhere
        return model

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As every model of transformers has it, from safetensors only."""
        found = super().from_pretrained(*args, **{"use_safetensors": True, **kwargs})
        use_fused_attention((found[0] if isinstance(found, tuple) else found).encoder)  # reading thaws what was frozen
        return found

    @property
    def longest(self) -> int | None:
        """How many tokens the encoder can read at a time, or None where nothing limits it."""
        for name, module in self.encoder.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                # Some families count positions from the one after that of padding.
                return int(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
        return getattr(self.config.encoder, "max_position_embeddings", None)

    def freeze(self, layers: int) -> None:
        """Keeps the encoder's embeddings and so many of its lowest layers as they are, which trains faster.

        Args:
            layers: how many; 0 freezes nothing.

        Raises:
            ValueError: the encoder has fewer.
        """
        if not layers:
            return
        every = self._layers()
        if layers > len(every):
            raise ValueError(f"fit.frozen_layers is {layers}, and the encoder has {len(every)} layers")
        for module in (self.encoder.embeddings, *every[:layers]):
            module.requires_grad_(False)

    def _layers(self) -> nn.ModuleList:
        depth = self.config.encoder.num_hidden_layers
        return next(m for m in self.encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)

    def adapt(self, rank: int, frozen: int) -> None:
        """Keeps the encoder as it is, and lets narrow matrices beside its own learn (LoRA).

        Hu et al., 2021, arXiv:2106.09685. So few weights have a gradient and moments that training takes less memory.

        Args:
            rank: of those matrices; 0 adapts nothing.
            frozen: how many of the lowest layers have none.

        Raises:
            ValueError: those are all layers.
        """
        if not rank:
            return
        inside = {id(part) for layer in self._layers()[frozen:] for part in layer.modules()}
        names = [n for n, m in self.encoder.named_modules() if isinstance(m, nn.Linear) and id(m) in inside]
        if not names:
            raise ValueError(f"fit.frozen_layers is {frozen}, which leaves fit.lora_rank no layer")
        self.encoder.requires_grad_(False)
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names), self.encoder)

    def merge(self) -> None:
        """Puts what ``adapt`` added into the encoder's own weights; leaves others alone."""
        for name, module in list(self.encoder.named_modules()):
            if isinstance(module, LoraLayer):
                module.merge()
                self.encoder.set_submodule(name, module.get_base_layer())

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=0.02)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        segments: Tensor | None = None,
        positions: Tensor | None = None,
        labels: Tensor | None = None,
        targets: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **_: Any,
    ) -> TokenClassifierOutput:
        """Logits of every paragraph, and the loss where there are targets.

        Args:
            input_ids: ``(batch, tokens)``.
            attention_mask: ``(batch, tokens)``, 0 at padding; None for none.
            segments: ``(batch, tokens)``, which paragraph of the window a token belongs to, -1 for none.
            positions: ``(batch, paragraphs)``, see ``nutgraf.windows.position``.
            labels: ``(batch, paragraphs)``, -100 where no paragraph is.
            targets: ``(batch, paragraphs, labels)`` probabilities to learn; by default all on ``labels``.
            num_items_in_batch: what the loss is divided by; by default the paragraphs that have labels. Where there
                are none, the loss is 0.

        Returns:
            ``logits`` ``(batch, paragraphs, labels)`` and ``loss``.
        """
        if segments is None or positions is None:
            raise ValueError("segments and positions are needed beside input_ids")
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        places = torch.arange(positions.shape[1], device=segments.device)
        member = (segments[:, None, :] == places[None, :, None]).to(hidden.dtype)  # (batch, paragraphs, tokens)
        pooled = member @ hidden / member.sum(dim=-1, keepdim=True).clamp(min=1.0)
        pooled = self.dropout(pooled + self.positions(positions))
        logits = self.classifier(self.dropout(torch.tanh(self.dense(pooled))))
        if labels is None:
            return TokenClassifierOutput(logits=logits)
        known = labels != IGNORED
        log = torch.log_softmax(logits.float(), dim=-1)
        if targets is None:
            loss = -log.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        else:
            loss = -(targets * log).sum(dim=-1)
        count = torch.as_tensor(known.sum() if num_items_in_batch is None else num_items_in_batch)
        return TokenClassifierOutput(loss=(loss * known).sum() / count.clamp(min=1), logits=logits)


class SharedDropout(nn.Module):
    """Dropout that hides the same features of all tokens of a sequence (Gal and Ghahramani, 2016, arXiv:1512.05287).

    Drawing a number for every feature of every token takes a processor a third of the time of training.

    Args:
        p: the share of features that is hidden.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, hidden: Tensor) -> Tensor:
        """``(batch, tokens, hidden)`` to the same."""
        if not self.training or not self.p:
            return hidden
        shape = (hidden.shape[0], *(1 for _ in hidden.shape[1:-1]), hidden.shape[-1])
        kept = torch.empty(shape, dtype=hidden.dtype, device=hidden.device).bernoulli_(1.0 - self.p)
        return hidden * (kept / (1.0 - self.p))


def _prepared(encoder: PreTrainedModel) -> PreTrainedModel:
    """An encoder with cheap dropout and fused attention."""
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout) and child.p > 0.0:
                setattr(module, name, SharedDropout(child.p))
    use_fused_attention(encoder)
    return _without_pooler(encoder)


def _without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    """Some encoders bring a layer over the first token, which is not used here."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


AutoConfig.register("nutgraf", NutgrafConfig, exist_ok=True)
