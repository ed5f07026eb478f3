"""A name "PROVIDER:NAME" → LangChain's chat model for it, or the reason why there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from rag.errors import SettingsError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import SecretStr

TRANSFORMERS = "transformers"
PROVIDER_EXTRAS = ("openai", "ollama")  # names of our extras
CONNECT_TIMEOUT_S = 5.0
REQUEST_HEADERS = {"x-nightjar-asks": "1"}
"""Goes with every request to OpenAI's interface: a Nightjar that asks a language model itself refuses it (ui/openai_api)."""

log = logging.getLogger(__name__)


def open_chat_model(
    name: str,
    *,
    base_url: str | None,
    api_key: SecretStr | None,
    timeout_s: float,
    max_tokens: int,
    connect_s: float = CONNECT_TIMEOUT_S,
    wait_s: float = 15.0,
    tell: Callable[[str], None] = log.info,
) -> BaseChatModel:
    """The model "PROVIDER:NAME" of LangChain's `init_chat_model`, or "transformers:FOLDER" in this process.

    *timeout_s* is for a whole answer, *connect_s* for reaching the server if the provider's package can part the two.
    *tell* gets the stages of loading a model into this process, which writes one answer at a time: the next one waits for
    *wait_s*.

    Raises:
        SettingsError: there is no such provider, its package is not installed, or it refuses what it is given.
    """
    provider, model_name = split_provider(name)
    _check_url(base_url)
    if provider == TRANSFORMERS:
        return _in_process(model_name, max_tokens, wait_s, tell)
    from langchain.chat_models import init_chat_model

    how = _timeouts(provider, timeout_s, connect_s)
    how |= {"num_predict": max_tokens} if provider == "ollama" else {"max_tokens": max_tokens, "max_retries": 0}
    how |= {"default_headers": REQUEST_HEADERS} if provider == "openai" else {}
    how |= {key: value for key, value in {"base_url": base_url, "api_key": api_key}.items() if value}
    try:
        model: BaseChatModel = init_chat_model(name, **how)
    except ImportError as error:
        raise SettingsError(
            f"generator.model is {name!r}, and what it needs is not installed: {_way_to_install(provider, error)}"
        ) from error
    except Exception as error:  # noqa: BLE001 - each provider's package raises errors of its own
        _refuse(name, error, api_key)
    return model


def split_provider(name: str) -> tuple[str, str]:
    """Provider and model.

    Raises:
        SettingsError: one of them is missing.
    """
    provider, _, model = name.partition(":")
    if not provider or not model:
        raise SettingsError(
            f"generator.model is {name!r}, and this names no provider: write 'extractive', which quotes the "
            "best sentences and needs no weights, or 'transformers:FOLDER', 'openai:NAME' or "
            "'ollama:NAME'"
        )
    return provider, model


def mask_secret(text: str, secret: SecretStr | None) -> str:
    """The text with the secret masked.

    >>> from pydantic import SecretStr
    >>> mask_secret("wrong key sk-123", SecretStr("sk-123"))
    'wrong key **********'
    """
    return text.replace(secret.get_secret_value(), str(secret)) if secret and secret.get_secret_value() else text


def _timeouts(provider: str, timeout_s: float, connect_s: float) -> dict[str, Any]:
    """In each package's own words; packages that we don't know get one number, and our own deadline holds for all."""
    connect_s = min(connect_s, timeout_s)
    if provider == "openai":
        try:
            from openai import Timeout
        except ImportError:
            return {}  # the reason is told by whoever opens the model
        return {"timeout": Timeout(timeout_s, connect=connect_s)}
    if provider == "ollama":  # it has names of its own, and ignores the common ones without a word
        from httpx import Timeout as HttpTimeout

        return {"client_kwargs": {"timeout": HttpTimeout(timeout_s, connect=connect_s)}}
    return {"timeout": timeout_s}


def _in_process(name: str, max_tokens: int, wait_s: float, tell: Callable[[str], None]) -> BaseChatModel:
    from rag.generation.chat.local_weights import LocalWeights
    from rag.generation.chat.transformers_chat import TransformersChat

    weights = LocalWeights(name, tell)
    if max_tokens >= weights.window:
        raise SettingsError(
            f"generator.max_tokens is {max_tokens:,}, and {name!r} reads {weights.window:,} tokens with its "
            "answer: set it lower"
        )
    weights.prepare()
    return TransformersChat.over(weights, max_tokens=max_tokens, wait_s=wait_s)


def _check_url(base_url: str | None) -> None:
    if base_url is None:
        return
    parts = urlsplit(base_url)
    if "@" in parts.netloc:  # the value is not told: it holds a password
        raise SettingsError("generator.base_url holds a name or password: give the key as generator.api_key")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"generator.base_url is {base_url!r}: write an address such as http://localhost:8000/v1")


def _way_to_install(provider: str, error: ImportError) -> str:
    return f"pip install 'nightjar-rag[{provider}]'" if provider in PROVIDER_EXTRAS else str(error)


def _refuse(name: str, error: Exception, secret: SecretStr | None) -> NoReturn:
    """Not chained: a provider's message may hold what it was given."""
    said = mask_secret(str(error).partition("\n")[0], secret)
    raise SettingsError(
        f"generator.model {name!r} can't be opened ({type(error).__name__}: {said}): correct it, or give "
        "generator.api_key; a server that asks for no key takes any word"
    ) from None
