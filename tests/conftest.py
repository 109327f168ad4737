"""What several tests share: a small corpus, a small model that is trained once, and an encoder made by hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from nutgraf.artefact import write_model
from nutgraf.encoder import CHAIN, GRAPH, INPUTS, OUTPUT, TOKENIZER, EncoderTagger
from nutgraf.linear import LinearTagger
from nutgraf.registry import load
from nutgraf.sequence import ChainWeights
from nutgraf.windows import POSITIONS
from nutgraf_data import corpora
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.recipe import EncoderRecipe, Recipe
from nutgraf_training.train import TrainResult, train

ROOT = Path(__file__).parents[1]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
# Chance finds new cases on a developer's machine; where a change is judged, the same cases run every time.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Nothing here may reach for the network, the processes that tests start included.
os.environ["HF_HUB_OFFLINE"] = "1"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
WriteEncoder = Callable[..., Path]
Edit = Callable[[Any], object]
Pretrained = Callable[[str], Path]
MakeRecipe = Callable[..., EncoderRecipe]


def pytest_configure(config: pytest.Config) -> None:
    """Names the marks that tests bear."""
    config.addinivalue_line("markers", "slow: takes more than ten seconds of a processor")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the corpora that do not ship; NUTGRAF_SHARED names another."""
    return Path(os.environ.get("NUTGRAF_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def authored() -> list[Article]:
    """The corpus that ships."""
    return corpora.load("authored")


@pytest.fixture(scope="session")
def tiny_corpus(authored: list[Article]) -> list[Article]:
    """Twenty labelled articles."""
    return authored[:20]


@pytest.fixture(scope="session")
def unseen(authored: list[Article]) -> list[Article]:
    """Twenty more, which the tiny model never saw."""
    return authored[60:80]


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe whose fit takes a moment."""
    return Recipe.from_dict("tiny", {"kind": "linear", "features": {"bits": 16}, "fit": {"folds": 3}})


@pytest.fixture(scope="session")
def tiny_result(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """What training on the tiny corpus gave; some of its articles are held out."""
    return train(tiny_corpus, tmp_path_factory.mktemp("models") / "tiny", recipe=tiny_recipe, held_out=0.2)


@pytest.fixture(scope="session")
def tiny_model(tiny_result: TrainResult) -> Path:
    """The folder of the tiny model; never change it."""
    return tiny_result.folder.path


@pytest.fixture(scope="session")
def tiny_tagger(tiny_result: TrainResult) -> LinearTagger:
    """The tiny model, loaded."""
    return LinearTagger(tiny_result.folder)


@pytest.fixture(scope="session")
def encoder_files(tiny_corpus: list[Article]) -> dict[str, bytes]:
    """The files of a small encoder model, made without torch; an article takes several of its windows."""
    window = {"tokens": 256, "headline": 12, "lead": 24, "context": 60, "paragraph": 90, "characters": 700}
    words = {word for article in tiny_corpus for word in re.findall("[a-z]{2,}", article.source.lower())}
    pieces = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = [*SPECIAL, *".,-“”’'", *pieces, *(f"##{piece}" for piece in pieces), *sorted(words)]
    return {
        "settings.toml": "\n".join(["[window]", *(f"{key} = {value}" for key, value in window.items())]).encode(),
        TOKENIZER: _small_tokenizer(tokens),
        GRAPH: _small_graph(len(tokens)),
        CHAIN: _small_chain(),
    }


@pytest.fixture(scope="session")
def edited(encoder_files: dict[str, bytes]) -> Callable[[Edit], bytes]:
    """The graph of the encoder made by hand, changed: ``edited(lambda model: …)``."""
    import onnx

    def edit(change: Edit) -> bytes:
        model = onnx.load_from_string(encoder_files[GRAPH])
        change(model)
        content: bytes = model.SerializeToString()
        return content

    return edit


@pytest.fixture(scope="session")
def write_encoder(encoder_files: dict[str, bytes]) -> WriteEncoder:
    """Writes an encoder model: ``write_encoder(path, {name: content})``, where a content of None leaves a file out."""

    def write(path: Path, changes: Mapping[str, bytes | None] | None = None) -> Path:
        files = {name: content for name, content in {**encoder_files, **(changes or {})}.items() if content is not None}
        return write_model(path, kind="encoder", label_set=NEWS_ROLES, files=files, manifest={}).path

    return write


@pytest.fixture(scope="session")
def tiny_encoder(write_encoder: WriteEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small encoder model; never change it."""
    return write_encoder(tmp_path_factory.mktemp("models") / "tiny-encoder")


@pytest.fixture(scope="session")
def tiny_encoder_tagger(tiny_encoder: Path) -> EncoderTagger:
    """The small encoder model, loaded."""
    tagger = load(tiny_encoder)
    assert isinstance(tagger, EncoderTagger)
    return tagger


def _small_tokenizer(tokens: list[str]) -> bytes:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    last, first = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.post_processor = processors.BertProcessing(last, first)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer.to_str().encode()


def _small_graph(vocabulary: int, width: int = 16) -> bytes:
    """An encoder of one layer: what a paragraph gives depends on its tokens, its place, and its whole window."""
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(0)

    def array(name: str, values: Any) -> Any:
        return numpy_helper.from_array(np.asarray(values), name)

    def normal(name: str, *shape: int) -> Any:
        return array(name, draw.normal(size=shape).astype(np.float32))

    node = helper.make_node
    nodes = [
        node("Gather", ["embeddings", "input_ids"], ["tokens"]),
        node("Shape", ["positions"], ["count"], start=1, end=2),
        node("Squeeze", ["count", "zero"], ["number"]),
        node("Range", ["none", "number", "one"], ["indices"]),
        node("Unsqueeze", ["indices", "last"], ["column"]),
        node("Unsqueeze", ["segments", "middle"], ["row"]),
        node("Equal", ["column", "row"], ["belongs"]),
        node("Cast", ["belongs"], ["mask"], to=TensorProto.FLOAT),  # (1, paragraphs, tokens)
        node("ReduceSum", ["mask", "last"], ["size"]),
        node("MatMul", ["mask", "tokens"], ["sum"]),
        node("Div", ["sum", "size"], ["mean"]),
        node("ReduceMean", ["tokens", "middle"], ["window"]),
        node("Gather", ["places", "positions"], ["place"]),
        node("Add", ["mean", "window"], ["both"]),
        node("Add", ["both", "place"], ["all"]),
        node("Tanh", ["all"], ["hidden"]),
        node("MatMul", ["hidden", "head"], [OUTPUT]),
    ]
    weights = [
        normal("embeddings", vocabulary, width),
        normal("places", POSITIONS, width),
        normal("head", width, len(NEWS_ROLES)),
        array("zero", np.array([0])),
        array("none", np.array(0)),
        array("one", np.array(1)),
        array("middle", np.array([1])),
        array("last", np.array([-1])),
    ]
    shapes = dict(zip(INPUTS, ("tokens", "tokens", "paragraphs"), strict=True))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, [1, length]) for name, length in shapes.items()],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, "paragraphs", len(NEWS_ROLES)])],
        weights,
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    ).SerializeToString()
    return content


def _small_chain() -> bytes:
    from safetensors.numpy import save

    draw = np.random.default_rng(1)
    labels = len(NEWS_ROLES)
    arrays = {name: 0.1 * draw.normal(size=shape) for name, shape in ChainWeights.shapes(labels).items()}
    arrays["emission"][:labels] += np.eye(labels)
    content: bytes = save(arrays)
    return content


@pytest.fixture(scope="session")
def nutgraf_command() -> list[str]:
    """The command line in a process of its own; coverage of the entry point included."""
    return [sys.executable, "-c", "import sys; from nutgraf.cli import main; sys.argv[0] = 'nutgraf'; main()"]


@pytest.fixture(scope="session")
def run(nutgraf_command: list[str]) -> Run:
    """Runs ``nutgraf ARGS…`` in a process of its own: ``run("predict", "a.txt", input="", cwd=…, env={…})``."""

    def call(
        *args: str | Path, input: str | None = None, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*nutgraf_command, *map(str, args)],
            input=input or "",
            cwd=cwd,
            env={**plain, **(env or {})},
            capture_output=True,
            text=True,
            encoding=(env or {}).get("PYTHONIOENCODING", "utf-8"),
            timeout=120,
            check=False,
        )
        return done

    return call


@pytest.fixture(scope="session")
def pretrained(authored: list[Article], tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """An encoder as a hub would give it, small and knowing nothing: ``pretrained("mpnet")`` is the folder of one.

    It reads up to 128 tokens, and has a tokenizer of 2,000 tokens.
    """
    import torch

    torch.set_num_threads(1)  # so little work is done in no time by one, and several wait for each other
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

            special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
            if family in {"roberta", "mpnet"}:  # they count positions from the token of padding, which comes second
                special = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
            special["mask_token"] = "[MASK]" if "[PAD]" in special.values() else "<mask>"
            tokenizer = _pretrained_tokenizer(family, special, [p.text for a in authored[:60] for p in a.paragraphs])
            own: dict[str, Any] = {"max_position_embeddings": 128, "initializer_range": 0.1}
            if family in {"roberta", "mpnet"}:
                own["max_position_embeddings"] = 130
            if family == "modernbert":  # every second layer looks at neighbours only
                own |= {"local_attention": 16, "global_attn_every_n_layers": 2, "initializer_cutoff_factor": 2.0}
                own |= {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
            config = AutoConfig.for_model(
                family,
                vocab_size=tokenizer.get_vocab_size(),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                pad_token_id=tokenizer.token_to_id(special["pad_token"]),
                **own,
            )
            made[family] = tmp_path_factory.mktemp("pretrained") / f"tiny-{family}"
            with torch.random.fork_rng():
                torch.manual_seed(0)
                AutoModel.from_config(config).save_pretrained(made[family])
            PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(made[family])
        return made[family]

    return make


def _pretrained_tokenizer(family: str, special: Mapping[str, str], texts: list[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    known = list(special.values())
    tokenizer: Any
    if family in {"bert", "mpnet"}:  # its trainer gives another vocabulary every time
        normal, words = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        counts = Counter(word for text in texts for word, _ in words.pre_tokenize_str(normal.normalize_str(text)))
        letters = sorted({letter for word in counts for letter in word})
        common = sorted(set(counts) - set(letters), key=lambda word: (-counts[word], word))
        vocabulary = [*known, *letters, *(f"##{letter}" for letter in letters), *common][:2000]
        tokenizer = Tokenizer(
            models.WordPiece({token: n for n, token in enumerate(vocabulary)}, unk_token=special["unk_token"])
        )
        tokenizer.normalizer, tokenizer.pre_tokenizer = normal, words
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=2000, special_tokens=known, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
    first, last = special["cls_token"], special["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)]
    )
    return tokenizer


@pytest.fixture(scope="session")
def encoder_recipe(pretrained: Pretrained) -> MakeRecipe:
    """A recipe whose fit takes seconds; ``encoder_recipe(fit={"folds": 2}, export={…})`` is one with other settings."""

    def make(family: str = "bert", **tables: Mapping[str, Any]) -> EncoderRecipe:
        reads = {"tokens": 128, "headline": 8, "lead": 16, "context": 16, "paragraph": 80}
        fit: dict[str, Any] = {
            "epochs": 2.0,
            "min_steps": 0,
            "learning_rate": 3e-3,
            "head_learning_rate": 1e-2,
            "precision": "fp32",
        }
        return EncoderRecipe.from_dict(
            "tiny",
            {
                "kind": "encoder",
                "encoder": {"name": str(pretrained(family))},
                "distil": {"epochs": 1.0, "learning_rate": 3e-3},
                **tables,
                "window": {**reads, **tables.get("window", {})},
                "fit": {**fit, **tables.get("fit", {})},
            },
        )

    return make
