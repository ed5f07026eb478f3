"""Every error of the interfaces for programs as JSON: in the shape of our REST interface, and of OpenAI's below /v1."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from rag.errors import BusyError, ForbiddenError, NightjarError, NotFoundError, RateLimitError, UsageError
from ui.schemas.openai import OPENAI_PREFIX, openai_error

UNEXPECTED_ERROR = "something went wrong here, and it was logged"
CLIENT_CLOSED_REQUEST = 499  # nginx's number; the client is gone and reads nothing

STATUS_BY_ERROR: tuple[tuple[type[NightjarError], int], ...] = (
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (UsageError, 400),
    (RateLimitError, 429),
    (BusyError, 503),
    (NightjarError, 500),
)


def add_error_handlers(api: FastAPI) -> None:
    """Adds what turns the errors of handlers into responses."""

    @api.exception_handler(NightjarError)
    async def foreseen(request: Request, error: NightjarError) -> JSONResponse:
        response = _error_json(request, str(error), http_status(error))
        if isinstance(error, RateLimitError):
            response.headers["retry-after"] = f"{max(1, round(error.again_s))}"
        return response

    @api.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        return _error_json(request, "; ".join(_problem(problem) for problem in problems), 400, _where(problems[0]))

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return _error_json(request, str(error.detail), error.status_code)

    @api.exception_handler(Exception)
    async def unforeseen(request: Request, _error: Exception) -> JSONResponse:
        return _error_json(request, UNEXPECTED_ERROR, 500)  # logged by the server, with its traceback


def http_status(error: NightjarError) -> int:
    """Returns the HTTP status that fits the error best."""
    return next(status for kind, status in STATUS_BY_ERROR if isinstance(error, kind))


def error_response(message: str, status: int) -> JSONResponse:
    """Returns an error as the REST interface reports it."""
    return JSONResponse({"error": message}, status)


def client_closed_response() -> Response:
    """Returns the response for a client that has gone."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def _error_json(request: Request, message: str, status: int, where: str | None = None) -> JSONResponse:
    if request.url.path.startswith(f"{OPENAI_PREFIX}/"):
        return JSONResponse(openai_error(message, status, param=where or None), status)
    return error_response(message, status)


def _where(problem: Any) -> str:
    return ".".join(str(part) for part in problem["loc"] if part not in ("body", "query"))


def _problem(problem: Any) -> str:
    return f"{_where(problem) or 'the request'}: {problem['msg']}"
