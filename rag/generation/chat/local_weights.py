"""A folder or name of a chat model → its tokenizer at once, and its weights in the background: safetensors only."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from rag.embedding.encoder import quiet_libraries
from rag.embedding.model_load_lock import MODEL_LOAD_LOCK
from rag.errors import ChatModelError, ChatModelSkippedError, SettingsError

POLL_INTERVAL_S = 0.05  # between two looks at whether anybody still waits
MAX_CONTEXT_TOKENS = 1_000_000  # tokenizers that know no limit say 10^30

WeightsStage = Literal["waiting", "loading", "ready", "failed"]

log = logging.getLogger(__name__)


class LocalWeights:
    """A chat model whose tokenizer was checked and whose weights are read in the background. Threads may share it."""

    def __init__(self, name: str, tell: Callable[[str], None] = log.info) -> None:
        """*tell* gets each stage of loading, as a sentence.

        Raises:
            SettingsError: there is no such model here, it is not in safetensors, or has no chat template.
        """
        self.name = name
        self.stage: WeightsStage = "waiting"
        self._tell = tell
        self.tokenizer, self._config = _checked(name, tell)
        self.window = context_window(self._config, self.tokenizer)
        self._loaded: Future[Any] = Future()
        self._begun = threading.Lock()

    def prepare(self) -> None:
        """Begins to read the weights, unless that has begun; returns at once."""
        if self._begun.acquire(blocking=False):
            self.stage = "loading"
            threading.Thread(target=self._run, name="weights", daemon=True).start()

    def get(self, is_over: Callable[[], bool] = lambda: False) -> Any:
        """The transformers model, waited for until *is_over*.

        Raises:
            ChatModelError: its weights can't be read, or were still being read when it was over.
        """
        self.prepare()
        while not is_over():
            try:
                return self._loaded.result(POLL_INTERVAL_S)
            except TimeoutError:
                continue
        raise ChatModelSkippedError(f"the weights of {self.name!r} were still being read")

    def _run(self) -> None:
        try:
            self._loaded.set_result(self._load())
            self.stage = "ready"
        except Exception as failure:
            self.stage = "failed"
            log.exception("the weights of the language model can't be read")
            self._loaded.set_exception(ChatModelError(f"its weights can't be read ({type(failure).__name__})"))

    def _load(self) -> Any:
        from transformers import AutoModelForCausalLM

        started, (device, dtype) = time.perf_counter(), best_device()
        self._tell(f"reading the weights of {self.name}")
        with MODEL_LOAD_LOCK:
            model = AutoModelForCausalLM.from_pretrained(
                self.name, config=self._config, dtype=dtype, use_safetensors=True, trust_remote_code=False
            )
        model = model.to(device).eval()
        model.generation_config = greedy_decoding(model.generation_config, self.tokenizer)
        n_millions, seconds = (
            sum(parameter.numel() for parameter in model.parameters()) / 1e6,
            time.perf_counter() - started,
        )
        self._tell(f"{self.name} is ready: {n_millions:.1f} million weights, {dtype} on {device}, in {seconds:.1f} s")
        return model


def best_device() -> tuple[str, Any]:
    """Where a model runs on this machine, and in what precision: bf16 if the hardware has it."""
    import torch

    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.float16
    # Without the instructions for it bf16 is up to a hundred times slower (see rag.encoder).
    return "cpu", torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def greedy_decoding(config: Any, tokenizer: Any) -> Any:
    """Always the likeliest token: the same question and passages get the same answer. Ends and penalties stay the model's."""
    from transformers import GenerationConfig

    ends = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
    first_end = ends[0] if isinstance(ends, Sequence) else ends
    pad = next(
        (candidate for candidate in (config.pad_token_id, tokenizer.pad_token_id, first_end) if candidate is not None),
        None,
    )
    return GenerationConfig(
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=pad,
        bos_token_id=config.bos_token_id,
        repetition_penalty=config.repetition_penalty,
    )


def context_window(config: Any, tokenizer: Any) -> int:
    """The tokens that prompt and answer may have together, by the model's positions and its tokenizer's own limit."""
    text_config = config.get_text_config()
    positions = getattr(text_config, "max_position_embeddings", None) or MAX_CONTEXT_TOKENS
    return int(min(positions, tokenizer.model_max_length or MAX_CONTEXT_TOKENS, MAX_CONTEXT_TOKENS))


# ---- what is refused before anything is loaded


def _checked(name: str, tell: Callable[[str], None]) -> tuple[Any, Any]:
    """Tokenizer and configuration.

    Raises:
        SettingsError: as of `OpenWeights`.
    """
    folder = Path(name)
    if folder.is_dir():
        _check_folder(folder)
    tell(f"reading the tokenizer of {name}")
    quiet_libraries()
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"generator.model 'transformers:{name}' can't be opened ({type(error).__name__}): name a folder that "
            "save_pretrained wrote, or a hub name with HF_HUB_OFFLINE=0; a model that brings code of its own is refused"
        ) from error
    if not tokenizer.chat_template:
        raise SettingsError(
            f"generator.model 'transformers:{name}' has a tokenizer without a chat template, so it was not "
            "taught to answer: name a model that was, often called -Instruct, -Chat or -it"
        )
    return tokenizer, config


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise SettingsError(
            f"generator.model 'transformers:{folder}' is a folder without config.json, so it holds no "
            "model: name one that save_pretrained wrote"
        )
    if not any(folder.glob("*.safetensors")):
        raise SettingsError(
            f"generator.model 'transformers:{folder}' holds no .safetensors file, and other weights may run "
            "code when they are loaded: save the model again with safetensors"
        )
