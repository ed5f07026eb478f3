"""A real Llama of some ten thousand weights, which are written by hand so that it recites one answer, word by word."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

SPECIAL = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
ANSWER = ("Small", " firms", " get", " the", " grant", " [1]", ".")


def make_tiny(
    folder: Path,
    says: tuple[str, ...] = ANSWER,
    *,
    for_ever: bool = False,
    template: str | None = TEMPLATE,
    window: int = 8192,
) -> Path:
    """Saves a model that answers anything with *says*, pieces that are all different; *for_ever* says them in a circle."""
    tokenizer = _tokenizer(says, template, window)
    ids = [tokenizer.convert_tokens_to_ids(one) for one in ("<|assistant|>", *says, "<|end|>")]
    follows = dict(pairwise(ids))
    if for_ever:
        follows[ids[-2]] = ids[1]
    _model(tokenizer, follows, window).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(says: tuple[str, ...], template: str | None, window: int) -> Any:
    """Bytes, the words of the answer, and the signs of the template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE({sign: number for number, sign in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens([AddedToken(one, special=True) for one in SPECIAL])
    bare.add_tokens([AddedToken(one, special=False, normalized=False) for one in says])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=window
    )
    tokenizer.chat_template = template
    return tokenizer


def _model(tokenizer: Any, follows: dict[int, int], window: int) -> Any:
    """Attention and feed-forward add nothing, so the next token depends on the last one alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=window, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        codes = torch.randn(len(tokenizer), 64).sign()
        model.model.embed_tokens.weight.copy_(codes)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for token, following in follows.items():
            model.lm_head.weight[following] += codes[token]
    return model
