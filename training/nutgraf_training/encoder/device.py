"""What the machine offers a training run: memory, and half precision."""

from __future__ import annotations

import gc
import os

import psutil
import torch

from nutgraf_data.errors import DataError
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.recipe import EncoderFitSettings

__all__ = ["check_memory", "memory_needed", "uses_bf16"]


def uses_bf16(settings: EncoderFitSettings) -> bool:
    """Half precision pays where the processor computes in it; elsewhere it is slower than fp32."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())


def check_memory(model: NutgrafModel, tokens: int, settings: EncoderFitSettings) -> None:
    """Refuses a run before it begins, rather than in the middle.

    Args:
        model: what is trained.
        tokens: of the longest window.
        settings: how it is trained.

    Raises:
        DataError: it does not fit in the memory that is free.
    """
    needed = memory_needed(model, tokens, settings)
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()  # what the stage before has held counts as free
        free, of = torch.cuda.mem_get_info(int(os.environ.get("LOCAL_RANK", "0")))[0], "GPU memory"
    else:
        free, of = psutil.virtual_memory().available, "memory"
        needed *= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # the processes that torchrun starts share it
    if needed > free:
        raise DataError(
            f"training needs about {needed / 2**30:.1f} GB of {of}, and {free / 2**30:.1f} GB are free",
            hint=f"set fit.batch_windows (now {settings.batch_windows}) lower in a copy of the recipe, "
            "and fit.accumulate higher by the same factor; or fit.frozen_layers higher"
            + ("" if settings.lora_rank else ", or fit.lora_rank above 0"),
        )


def memory_needed(model: NutgrafModel, tokens: int, settings: EncoderFitSettings) -> int:
    """Bytes that training takes, roughly: weights, gradients and both moments of Adam, and activations of a batch.

    Of frozen layers, which a model has that ``NutgrafModel.freeze`` was called on, only the weights.
    """
    config = model.config.encoder
    weights = sum(parameter.numel() * (16 if parameter.requires_grad else 4) for parameter in model.parameters())
    width = 2 if uses_bf16(settings) else 4
    # Kept for the way back, per token and layer: about 24 vectors of the hidden width, the wide inner layer among them.
    layers = config.num_hidden_layers - settings.frozen_layers
    activations = settings.batch_windows * tokens * layers * config.hidden_size * 24 * width
    # A bias for every pair of tokens, where there is one (MPNet).
    pairs = settings.batch_windows * config.num_attention_heads * tokens**2 * 8 if config.model_type == "mpnet" else 0
    return int(weights + activations + pairs + 2**29)
