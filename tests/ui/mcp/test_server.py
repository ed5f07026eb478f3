"""The Model Context Protocol, spoken by its own client: to the application over HTTP, and to `nightjar mcp` over stdio."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

from rag.errors import SettingsError
from tests.fixtures.running_server import fill, served, settings_for
from ui.server.serve import RunningServer

mcp = pytest.importorskip("mcp", reason="the extra nightjar-rag[mcp] is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with served(tmp_path_factory.mktemp("mcp"), server={"mcp": True}) as started:
        yield started


def called(server: object, tool: str, **arguments: object):
    """What the client gets of one call."""

    async def call():
        async with mcp.Client(server) as client:
            return await client.call_tool(tool, arguments)

    return anyio.run(call)


def test_two_tools_are_offered_and_say_what_they_take_and_give(server: RunningServer) -> None:
    async def tools():
        async with mcp.Client(f"{server.address}/mcp") as client:
            return (await client.list_tools()).tools

    offered = {tool.name: tool for tool in anyio.run(tools)}
    assert set(offered) == {"search", "ask"}
    assert set(offered["ask"].input_schema["properties"]) == {"question", "conversation_id", "sources"}
    assert offered["ask"].input_schema["required"] == ["question"]
    assert "The question" in offered["search"].input_schema["properties"]["question"]["description"]
    assert "citations" in offered["ask"].output_schema["properties"]
    assert offered["search"].annotations.read_only_hint is True


def test_a_search_by_an_agent_finds_passages_with_their_places(server: RunningServer) -> None:
    found = called(f"{server.address}/mcp", "search", question="where do barn owls nest", k=1)
    (passage,) = found.structured_content["passages"]
    assert (passage["rank"], Path(passage["source"]).name) == (1, "owls.md")
    assert "church towers" in passage["text"]


def test_an_answer_to_an_agent_cites_and_is_remembered(server: RunningServer) -> None:
    first = called(f"{server.address}/mcp", "ask", question="Who can get the grant?", conversation_id="c-1")
    answer = first.structured_content
    assert "Nurses who work at night" in answer["answer"]
    assert answer["citations"][0]["quote"] in answer["answer"]
    then = called(f"{server.address}/mcp", "ask", question="How much is it?", conversation_id="c-1").structured_content
    assert then["question"] == "Who can get the grant? How much is it?"
    turn = server.opening.app().feedback.turn(answer["turn_id"])
    assert (turn.user, turn.conversation_id) == ("local", "c-1")


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("ask", {"question": " "}, "the question is empty"),
        ("search", {"question": "owls", "sources": ["nothing.md"]}, "nothing.md"),
        ("search", {"question": "owls", "k": 1000}, "less than or equal to 50"),
    ],
)
def test_what_makes_no_sense_is_told_to_the_agent(server: RunningServer, tool: str, arguments: dict, says: str) -> None:
    told = called(f"{server.address}/mcp", tool, **arguments)
    assert told.is_error
    assert says in told.content[0].text


def test_a_page_of_another_site_can_not_reach_the_tools(server: RunningServer) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    foreign = httpx.post(f"{server.address}/mcp", json=call, headers={**accept, "origin": "https://elsewhere.example"})
    rebound = httpx.post(f"{server.address}/mcp", json=call, headers={**accept, "host": "elsewhere.example"})
    assert (foreign.status_code, rebound.status_code) == (403, 400)


def test_it_is_not_there_unless_it_was_asked_for(tmp_path: Path) -> None:
    with served(tmp_path) as started:
        assert httpx.post(f"{started.address}/mcp", json={}).status_code in {404, 405}


def test_an_agent_on_this_machine_is_served_over_stdio_beside_the_library(tmp_path: Path) -> None:
    from rag.app.app import open_app

    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "grant.md").write_text(
        "# The grant\n\nNurses can get the grant of 500 pounds.\n", "utf-8"
    )
    app = open_app(settings_for(tmp_path / "data"))
    fill(app, tmp_path / "documents")
    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "ui", "--data", str(tmp_path / "data"), "mcp"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )

    async def asked_twice() -> list[str]:
        async with mcp.Client(mcp.stdio_client(command)) as client:
            first = await client.call_tool("ask", {"question": "Who can get the grant?"})
            (tmp_path / "documents" / "owls.md").write_text("# Owls\n\nBarn owls nest in church towers.\n", "utf-8")
            await anyio.to_thread.run_sync(partial(fill, app, tmp_path / "documents"))  # what comes meanwhile is found
            then = await client.call_tool("ask", {"question": "Where do barn owls nest?"})
            return [answer.structured_content["answer"] for answer in (first, then)]

    first, then = anyio.run(asked_twice)
    app.close()
    assert "Nurses can get the grant of 500 pounds." in first
    assert "Barn owls nest in church towers." in then


def test_without_its_package_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from ui.server.api_app import import_mcp_server

    monkeypatch.setitem(sys.modules, "mcp.server", None)
    monkeypatch.delitem(sys.modules, "ui.mcp.server", raising=False)
    monkeypatch.delattr("ui.mcp.server", raising=False)
    with pytest.raises(SettingsError, match=r"nightjar-rag\[mcp\]"):
        import_mcp_server()
