"""The server's methods against a real HTTP server of the test that records what arrives and answers as told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from graphql import parse
from graphql.language import FieldNode, OperationDefinitionNode, VariableNode, Visitor, visit

from backhaul.errors import (
    BadRequest,
    CaptivePortal,
    ClockWrong,
    ConnectionLost,
    CredentialsRefused,
    Forbidden,
    NotFound,
    QuotaExceeded,
    RateLimited,
    RunDeleted,
    ServerUnavailable,
    TimedOut,
    UnexpectedAnswer,
)
from backhaul.wire import documents
from backhaul.wire.message import FileSlice
from backhaul.wire.remote import (
    ConsoleLine,
    ConsoleTail,
    RemoteFile,
    RunAddress,
    RunStatus,
    RunUpsert,
    UploadTarget,
    Viewer,
)
from backhaul.wire.server import Server
from backhaul.wire.transport import HttpTransport

KEY = "0123456789abcdef0123456789abcdef01234567"
AT = RunAddress("ann", "demo", "06uj925u")


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Fake:
    """A server that gives its answers in order, the last one again and again."""

    answers: list[web.Response | dict[str, object]]
    seen: list[Seen] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, headers, await request.read()))
        if self.held is not None:
            await self.held.wait()
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
        if isinstance(answer, dict):
            return web.json_response({"data": answer})
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def run(fake: Fake, work: Callable, **options):
    """Do `work(server, base_url)` against the fake, over a real socket."""

    async def scenario():
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{tail:.*}", fake.handle)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        transport = HttpTransport({})
        try:
            return await work(Server(transport, base + "/", KEY, **options), base)
        finally:
            await transport.close()
            if fake.held is not None:
                fake.held.set()
            await runner.cleanup()

    return asyncio.run(scenario())


def ask(answer, work, **options):
    """The result of `work(server)` when the server gives this answer (or these answers)."""
    fake = Fake(answer if isinstance(answer, list) else [answer])
    return run(fake, lambda server, _: work(server), **options), fake.seen


def reply(status: int, body: object = b"", **headers: str) -> web.Response:
    """An answer with a status."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(status=status, body=raw, headers={k.replace("_", "-"): v for k, v in headers.items()})


def errors(message: str) -> web.Response:
    """GraphQL errors with status 200."""
    return reply(200, {"data": None, "errors": [{"message": message}]})


BUCKET = {
    "id": "QnVja2V0",
    "name": "06uj925u",
    "displayName": "orig-name",
    "description": None,
    "config": "{}",
    "sweepName": None,
    "project": {"id": "p", "name": "demo", "entity": {"id": "e", "name": "ann"}},
    "historyLineCount": 34,
}


def upserted(inserted: bool = False, **changes: object) -> dict[str, object]:
    """An answer to UpsertBucket."""
    return {"upsertBucket": {"bucket": {**BUCKET, **changes}, "inserted": inserted}}


def test_upsert_sends_what_the_official_client_sends():
    """The variables equal those of a recorded request of wandb 0.31, field by field."""
    wanted = RunUpsert(
        "06uj925u",
        project="demo",
        config='{"lr":{"value":NaN}}',
        display_name="orig-name",
        notes="my notes",
        tags=("a", "b"),
        group="g1",
        job_type="train",
        program="train.py",
        host="vm",
    )
    address, seen = ask(upserted(), lambda server: server.upsert_run(wanted), username="ann", email="a@b.c")
    assert address == RunAddress("ann", "demo", "06uj925u", "QnVja2V0", "orig-name", 34)
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/graphql")
    assert request.json["operationName"] == "UpsertBucket"
    assert request.json["variables"] == {
        "id": None,
        "name": "06uj925u",
        "project": "demo",
        "entity": None,
        "groupName": "g1",
        "description": None,
        "displayName": "orig-name",
        "notes": "my notes",
        "commit": None,
        "config": '{"lr":{"value":NaN}}',
        "host": "vm",
        "debug": None,
        "program": "train.py",
        "repo": None,
        "jobType": "train",
        "state": None,
        "sweep": None,
        "tags": ["a", "b"],
        "summaryMetrics": None,
    }
    assert request.headers["content-type"] == "application/json"
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == f"api:{KEY}".encode()
    assert (request.headers["x-wandb-username"], request.headers["x-wandb-user-email"]) == ("ann", "a@b.c")
    assert re.fullmatch(r"backhaul/\S+", request.headers["user-agent"])


def test_user_headers_are_sent_empty_when_unset():
    """The official client sends them always."""
    _, seen = ask(upserted(), lambda server: server.upsert_run(RunUpsert("r")))
    assert (seen[0].headers["x-wandb-username"], seen[0].headers["x-wandb-user-email"]) == ("", "")


def test_new_run_without_a_count_has_no_lines_and_an_old_one_is_an_unexpected_answer():
    """Unknown is not zero: to take it for zero would overwrite rows."""
    address, _ = ask(upserted(True, historyLineCount=None), lambda server: server.upsert_run(RunUpsert("r")))
    assert address.history_line_count == 0
    with pytest.raises(UnexpectedAnswer, match="historyLineCount"):
        ask(upserted(False, historyLineCount=None), lambda server: server.upsert_run(RunUpsert("r")))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(401, {"errors": [{"message": "user is not logged in"}]}), CredentialsRefused),
        (reply(409, {"error": "run e/p/r was previously created and deleted"}), RunDeleted),
        (errors("permission denied"), Forbidden),
        (reply(429, b"", Retry_After="7"), RateLimited),
        (reply(200, b"<html>login</html>", Content_Type="text/html"), CaptivePortal),
        (reply(200, json.dumps({"data": {**upserted(), "other": float("nan")}}).encode()), UnexpectedAnswer),
        (reply(200, b'{"data": null}'), UnexpectedAnswer),
        (reply(200, b"null"), UnexpectedAnswer),
        (reply(200, b""), UnexpectedAnswer),
        (reply(201, {"data": upserted()}), UnexpectedAnswer),
        ({"upsertBucket": None}, UnexpectedAnswer),
        ({"upsertBucket": {"bucket": None}}, UnexpectedAnswer),
        (upserted(project=None), UnexpectedAnswer),
        (upserted(id=7), UnexpectedAnswer),
        (upserted(historyLineCount=-1), UnexpectedAnswer),
        (upserted(historyLineCount=True), UnexpectedAnswer),
    ],
)
def test_every_other_answer_to_an_upsert_is_an_error_of_the_tree(answer, expected):
    """No answer makes a KeyError or passes for success; the key is in none of the messages."""
    with pytest.raises(expected) as caught:
        ask(answer, lambda server: server.upsert_run(RunUpsert("r", project="demo")))
    assert KEY not in str(caught.value.as_json())
    if expected is RateLimited:
        assert caught.value.retry_after == 7.0


def test_graphql_request_has_a_limit_as_a_whole():
    """A server that holds a question is given up after the user's WANDB_HTTP_TIMEOUT, and the error names it."""
    fake = Fake([{}], held=asyncio.Event())
    with pytest.raises(TimedOut) as caught:
        run(fake, lambda server, _: server.upsert_run(RunUpsert("r")), graphql_timeout=0.2)
    assert "WANDB_HTTP_TIMEOUT" in caught.value.next


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"viewer": {"id": "u", "entity": "ann", "username": "ann", "email": "a@b.c"}}, Viewer("ann", "ann", "a@b.c")),
        ({"viewer": None}, None),
        (
            reply(200, {"data": {"viewer": {"entity": "ann"}}, "errors": [{"message": "flags failed"}]}),
            Viewer("ann", "", ""),
        ),
    ],
)
def test_viewer_is_the_account_or_none(answer, expected):
    """A key is good exactly when the server knows whose it is, even if it stumbles over a field."""
    assert ask(answer, lambda server: server.viewer())[0] == expected


def test_refused_key_is_raised_by_viewer():
    """401 is not "no account"."""
    with pytest.raises(CredentialsRefused):
        ask(reply(401), lambda server: server.viewer())


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"serverInfo": {"features": [{"name": "A", "isEnabled": True}, {"name": "B", "isEnabled": False}]}}, {"A"}),
        ({"serverInfo": {"features": []}}, set()),
        ({"serverInfo": None}, set()),
        (reply(400, {"errors": [{"message": "Cannot query field"}]}), set()),
        (errors('Cannot query field "features" on type "ServerInfo".'), set()),
        (reply(404, b"<html>Not found</html>"), set()),
        (reply(500, errors("An internal error occurred.").body), set()),
    ],
)
def test_features_are_those_that_are_on_and_none_on_an_old_server(answer, expected):
    """A server that does not know the question has no features."""
    assert ask(answer, lambda server: server.features())[0] == expected


@pytest.mark.parametrize("status", [401, 429, 502, 503, 504])
def test_outage_is_not_taken_for_a_server_without_features(status):
    """What is no answer to the question must not change what is sent."""
    with pytest.raises((CredentialsRefused, RateLimited, ServerUnavailable)):
        ask(reply(status), lambda server: server.features())


RESUMED = {
    "id": "b",
    "name": "resid1",
    "summaryMetrics": '{"_step":4,"x":NaN}',
    "displayName": "d",
    "logLineCount": 7,
    "historyLineCount": 5,
    "eventsLineCount": 2,
    "historyTail": '["{\\"_step\\":4,\\"x\\":NaN}"]',
    "eventsTail": "[]",
    "config": '{"a":{"value":1}}',
    "tags": ["t"],
    "notes": None,
    "wandbConfig": '{"t":{}}',
    "state": "finished",
    "files": {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}},
}


def status_answer(**changes: object) -> dict[str, object]:
    """An answer to RunResumeStatus."""
    return {"model": {"id": "m", "name": "res", "entity": {"name": "ann"}, "bucket": {**RESUMED, **changes}}}


def test_run_status_reads_counts_tails_and_texts_as_they_are():
    """The three counts are what a safe sync starts from; JSON texts pass through undecoded."""
    status, seen = ask(status_answer(), lambda server: server.run_status(None, "res", "resid1"))
    assert status == RunStatus(
        history_lines=5,
        events_lines=2,
        output_lines=7,
        summary='{"_step":4,"x":NaN}',
        config='{"a":{"value":1}}',
        history_tail=['{"_step":4,"x":NaN}'],
        events_tail=[],
        display_name="d",
        tags=("t",),
        notes="",
        started=True,
        state="finished",
    )
    assert seen[0].json["variables"] == {"project": "res", "entity": None, "name": "resid1", "files": 200}


def _many(runs: int) -> dict[str, object]:
    """An answer about so many runs: the n-th has n console lines."""
    models = [status_answer(logLineCount=number)["model"] for number in range(runs)]
    return {f"model{number or ''}": model for number, model in enumerate(models)}


def test_questions_of_many_runs_go_together_and_each_gets_its_own_answer():
    """Two go at once; all who come while they are on their way go in one request, under aliases."""

    async def work(server: Server) -> list[RunStatus | None]:
        return await asyncio.gather(*(server.run_status("e", "p", f"r{number}") for number in range(20)))

    (statuses, seen) = ask([_many(16), _many(4)], work)
    assert [status and status.output_lines for status in statuses] == [*range(16), *range(4)]
    asked = [value for request in seen for name, value in request.json["variables"].items() if name[:4] == "name"]
    assert asked == [f"r{number}" for number in range(20)]


def test_no_run_suffers_from_what_another_is_answered():
    """When the request for several fails, each is asked for alone; only the one to blame is told."""

    async def work(server: Server) -> list[RunStatus | BaseException | None]:
        asked = (server.run_status("e", "p", name) for name in ("good", "bad"))
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = [errors("no permission for bad"), status_answer(), reply(403, {"errors": [{"message": "no"}]})]
    ((good, bad), seen) = ask(answers, work)
    assert isinstance(good, RunStatus)
    assert isinstance(bad, Forbidden)
    assert len(seen) == 3


def plain_answer() -> dict[str, object]:
    """An answer to the official client's question: nothing about files and state."""
    bucket = {
        name: value for name, value in status_answer()["model"]["bucket"].items() if name not in ("files", "state")
    }
    return {"model": {"bucket": bucket}}


@pytest.mark.parametrize("first", [errors('Cannot query field "files" on type "Run".'), reply(400), plain_answer()])
def test_a_server_that_knows_the_official_question_alone_is_asked_that(first):
    """A run, then its files; and so from then on, for each run."""

    async def work(server: Server) -> list[RunStatus | None]:
        return [await server.run_status("ann", "demo", name) for name in ("r", "s")]

    answers = [first, plain_answer(), page(["a"], None), plain_answer(), page(["a"], None)]
    statuses, seen = ask(answers, work)
    assert [status and [file.name for file in status.files] for status in statuses] == [["a"], ["a"]]
    asked = ["RunResumeStatus", "RunResumeStatus", "RunFiles", "RunResumeStatus", "RunFiles"]
    assert [request.json["operationName"] for request in seen] == asked
    assert ["files" in request.json["variables"] for request in seen] == [True, False, False, False, False]


def test_silence_about_a_run_is_not_taken_for_its_absence():
    """A server that answers by the operation's name tells of one run only; the other is asked for alone."""

    async def work(server: Server) -> list[RunStatus | None]:
        return await asyncio.gather(*(server.run_status("ann", "demo", name) for name in ("r", "s")))

    statuses, seen = ask(status_answer(), work)
    assert [status is None for status in statuses] == [False, False]
    assert [request.json["variables"].get("name") for request in seen] == ["r", "r", "s"]


def test_a_server_without_pages_is_asked_for_all_files_at_once():
    """Some servers know no pages; their whole list is short."""
    whole = {"project": {"run": {"files": {"edges": files_page(["a", "b"], None)["edges"]}}}}
    answers = [reply(400), plain_answer(), errors('Unknown argument "after"'), whole]
    status, _ = ask(answers, lambda server: server.run_status("ann", "demo", "06uj925u"))
    assert status is not None
    assert [file.name for file in status.files] == ["a", "b"]


OPENED = {
    "upsertBucket": {
        "bucket": {"id": "b", "name": "r", "project": {"name": "p", "entity": {"name": "ann"}}},
        "inserted": True,
    }
}


FILES_MADE = {"runID": "b", "uploadHeaders": [], "files": [{"name": "a.txt", "uploadUrl": "http://x/a"}]}


def opened(answers, entity: str | None = "ann"):
    """The places of a file with which two runs were opened, and the requests for that."""

    async def work(server: Server) -> list[list[UploadTarget] | None]:
        return [(await server.open_run(RunUpsert(run, project="p", entity=entity), ["a.txt"]))[1] for run in "rs"]

    return ask(answers, work)


def test_a_run_is_opened_together_with_the_places_of_its_files():
    """One request for both."""
    targets, seen = opened(OPENED | {"createRunFiles": FILES_MADE})
    assert [[target.url for target in each] for each in targets] == [["http://x/a"], ["http://x/a"]]
    assert [request.json["operationName"] for request in seen] == ["UpsertBucket", "UpsertBucket"]
    assert seen[1].json["variables"]["of"] == "ann"


def test_the_default_entity_is_learned_from_the_first_run_that_names_none():
    """The places of files are asked for under an entity; nobody is asked for it alone."""
    targets, seen = opened([OPENED, OPENED | {"createRunFiles": FILES_MADE}], entity=None)
    assert [each is None for each in targets] == [True, False]
    assert [request.json["variables"].get("of") for request in seen] == [None, "ann"]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (errors("one mutation at a time"), [True, False, False]),
        (reply(400), [True, False, False]),
        (OPENED, [True, False]),
    ],
)
def test_a_server_that_does_not_take_both_together_is_asked_one_by_one_from_then_on(answer, asked):
    """What a server says about a run does not depend on the places of its files."""
    targets, seen = opened([answer, OPENED])
    assert targets == [None, None]
    assert ["files" in request.json["variables"] for request in seen] == asked


@pytest.mark.parametrize("answers", [reply(403), [reply(404), reply(403)]])
def test_a_refusal_of_the_run_is_told_as_what_it_is(answers):
    """A run that may not be there has no place for files either; what counts is why."""
    with pytest.raises(Forbidden):
        opened(answers)


LONG = json.dumps({"files": {"output.log": {"offset": 0, "content": ["line"] * 1000}}}).encode()
OFFERED = {"serverInfo": {"features": [{"name": "FILESTREAM_GZIP", "isEnabled": True}]}}


@pytest.mark.parametrize(
    ("features", "body", "encoding"),
    [(OFFERED, LONG, "gzip"), ({"serverInfo": None}, LONG, None), (OFFERED, b'{"complete":true}', None)],
)
def test_long_bodies_go_as_gzip_where_the_server_offers_it(features, body, encoding):
    """The same bytes arrive; a short body is not worth a question."""
    _, seen = ask([features, reply(200)], lambda server: server.file_stream(AT, body))
    assert seen[-1].headers.get("content-encoding") == encoding
    assert seen[-1].body == body
    assert (int(seen[-1].headers["content-length"]) < len(body) / 10) is (encoding == "gzip")


def test_lines_that_are_refused_as_gzip_go_as_they_are():
    """A proxy that unpacks nothing, or drops the header, does not keep lines back; from then on nothing is packed."""

    async def work(server: Server) -> None:
        for _ in range(2):
            await server.file_stream(AT, LONG)

    _, seen = ask([OFFERED, reply(400), reply(200)], work)
    assert [request.headers.get("content-encoding") for request in seen[1:]] == ["gzip", None, None]
    assert seen[-1].body == LONG


def test_a_refusal_behind_a_server_that_unpacks_is_about_the_lines():
    """They are not sent a second time."""

    async def work(server: Server) -> None:
        await server.file_stream(AT, LONG)
        with pytest.raises(BadRequest):
            await server.file_stream(AT, LONG)

    _, seen = ask([OFFERED, reply(200), reply(400)], work)
    assert [request.headers.get("content-encoding") for request in seen[1:]] == ["gzip", "gzip"]


def test_file_stream_posts_the_ready_body_to_the_runs_own_address():
    """The body goes out byte for byte, with the key and without GraphQL's user headers; names are quoted."""
    body = b'{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\\"x\\":NaN}"]}}}'
    at = RunAddress("ann lee", "d/é", "r?1")
    _, seen = ask(
        reply(200, {"stopped": False}), lambda server: server.file_stream(at, body), extra_headers={"X-T": "1"}
    )
    (request,) = seen
    assert (request.method, request.path) == ("POST", "/files/ann%20lee/d%2F%C3%A9/r%3F1/file_stream")
    assert request.body == body
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.headers["x-t"] == "1"
    assert "x-wandb-username" not in request.headers


@pytest.mark.parametrize("answer", [reply(200, {}), reply(202, b"null"), reply(204)])
def test_file_stream_takes_every_2xx_that_is_json_or_empty(answer):
    """The official client accepts 200 to 299."""
    ask(answer, lambda server: server.file_stream(AT, b"{}"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200, b"<html>log in</html>"), CaptivePortal),
        (reply(200, b"fine"), UnexpectedAnswer),
        (reply(302, b"", Location="https://login.example/"), CaptivePortal),
        (reply(404, {"error": "run not found"}), NotFound),
        (reply(503), ServerUnavailable),
    ],
)
def test_file_stream_is_not_acknowledged_by_anything_else(answer, expected):
    """A captive portal that says 200 to everything must not count as delivery."""
    with pytest.raises(expected):
        ask(answer, lambda server: server.file_stream(AT, b"{}"))


def created(files: list[tuple[str, str | None]], headers: object = ()) -> dict[str, object]:
    """An answer to CreateRunFiles."""
    listed = [{"name": name, "uploadUrl": url} for name, url in files]
    return {"createRunFiles": {"runID": "b", "uploadHeaders": list(headers), "files": listed}}


def test_upload_targets_come_by_name_with_headers_and_without_unwanted_files():
    """Answers are matched by name; a null address means that the file is not wanted; relative ones get the host."""
    answer = created([("b", "/up/b?s=1"), ("c", None), ("a/é.txt", "https://store/a")], ["X-A: 1:2", "Y:z"])
    fake = Fake([answer])
    names = ["a/é.txt", "b", "c"]
    targets, base = run(fake, lambda server, base: _with(server.create_run_files(AT, names), base))
    headers = {"X-A": "1:2", "Y": "z"}
    assert targets == [
        UploadTarget("a/é.txt", "https://store/a", headers),
        UploadTarget("b", f"{base}/up/b?s=1", headers),
    ]
    assert fake.seen[0].json["variables"] == {"entity": "ann", "project": "demo", "run": "06uj925u", "files": names}
    assert "store" not in repr(targets), "a signed address is a secret"


async def _with(work, value):
    return await work, value


def test_file_that_the_server_is_silent_about_is_named():
    """A half answer would lose a file without a word."""
    with pytest.raises(UnexpectedAnswer, match=r"1 of 2 files: lost\.txt"):
        ask(created([("a", "http://x")]), lambda server: server.create_run_files(AT, ["a", "lost.txt"]))


def put(answer: web.Response, body, md5=None, headers=None):
    """PUT a file at the fake and return what arrived."""
    fake = Fake([answer])
    target_headers = headers or {}
    run(
        fake,
        lambda server, base: server.put_file(
            UploadTarget("f.bin", f"{base}/s3/f?sig=a%2Bb", target_headers), body, md5
        ),
        extra_headers={"X-T": "1"},
    )
    return fake.seen[0]


def test_put_sends_the_slice_with_the_targets_headers_and_never_the_key(tmp_path):
    """The address carries its own permission; a key has no business at an object store."""
    file = tmp_path / "f.bin"
    file.write_bytes(b"..payload..")
    seen = put(reply(200), FileSlice(file, 2, 7), headers={"Content-Type": "image/png"})
    assert (seen.method, seen.path, seen.body) == ("PUT", "/s3/f?sig=a%2Bb", b"payload")
    assert seen.headers["content-length"] == "7"
    assert seen.headers["content-type"] == "image/png"
    assert seen.headers["x-t"] == "1"
    assert "authorization" not in seen.headers
    assert not any(name.startswith("x-wandb") for name in seen.headers)


MD5 = hashlib.md5(b"payload").hexdigest()
BASE64 = base64.b64encode(bytes.fromhex(MD5)).decode()
WRONG = "0" * 32
WRONG64 = base64.b64encode(bytes(16)).decode()


@pytest.mark.parametrize("ours", [MD5, BASE64, MD5.upper()])
@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": f'"{MD5}"'},
        {"ETag": MD5.upper()},
        {},
        {"ETag": '"0x8DABCDEF"', "Content-MD5": BASE64},
        {"ETag": f'"{WRONG}-3"'},
        {"ETag": f'"{WRONG}"', "x-amz-server-side-encryption": "aws:kms"},
        {"ETag": f'"{WRONG}"', "x-goog-hash": f"crc32c=AAAAAA==,md5={BASE64}"},
    ],
)
def test_store_that_confirms_or_does_not_tell_the_md5_is_believed(ours, headers):
    """An ETag that is no MD5 (parts, managed keys, Azure) says nothing, and nothing is concluded from it."""
    put(web.Response(headers=headers), b"payload", ours)


@pytest.mark.parametrize(
    "headers",
    [{"ETag": f'"{WRONG}"'}, {"ETag": f'W/"{WRONG}"'}, {"x-goog-hash": f"md5={WRONG64}"}, {"Content-MD5": WRONG64}],
)
def test_store_that_received_other_bytes_makes_a_failure_that_is_tried_again(headers):
    """Bytes that changed on the way are no delivery."""
    with pytest.raises(ConnectionLost, match="other bytes"):
        put(web.Response(headers=headers), b"payload", MD5)


def put_each(etags: list[str], bodies: list[bytes]) -> list[bool]:
    """Put one body after another; `etags` are the store's answers. True where it was not believed."""
    fake = Fake([web.Response(headers={"ETag": f'"{etag}"'}) for etag in etags])

    async def work(server, base):
        failed = []
        for body in bodies:
            target = UploadTarget("file", f"{base}/storage/file", {})
            try:
                await server.put_file(target, body, hashlib.md5(body).hexdigest())
            except ConnectionLost:
                failed.append(True)
            else:
                failed.append(False)
        return failed

    return run(fake, work)


ANOTHER = "1" * 32


@pytest.mark.parametrize(
    ("etags", "bodies", "failed"),
    [
        ([WRONG, ANOTHER, "2" * 32], [b"payload", b"payload", b"more"], [True, False, False]),
        ([WRONG, WRONG, WRONG], [b"payload"] * 3, [True, True, True]),
        ([WRONG, ANOTHER], [b"payload", b"more"], [True, True]),
        ([MD5, WRONG, ANOTHER], [b"payload"] * 3, [False, True, True]),
    ],
    ids=["no digest", "changed alike", "different content", "was an MD5"],
)
def test_etags_that_differ_for_the_same_content_are_no_md5s(etags, bodies, failed):
    """A store that never gave an MD5 and answers the same bytes with two ETags says nothing of the bytes with them."""
    assert put_each(etags, bodies) == failed


@pytest.mark.parametrize("url", ["/storage/file?sig=1", "http://elsewhere.example/storage/file?sig=1"])
def test_artifact_addresses_may_begin_at_the_server(url):
    """The manifest's, a file's and those of its parts, as the addresses of run files may."""
    node = {"artifact": {"id": "a"}, "uploadUrl": url, "uploadHeaders": [], "storagePath": "s"}
    parts = {"uploadID": "u", "uploadUrlParts": [{"partNumber": 1, "uploadUrl": url}]}
    manifest = {"id": "m", "file": {"uploadUrl": url, "uploadHeaders": []}}
    fake = Fake(
        [
            {"createArtifactManifest": {"artifactManifest": manifest}},
            {"createArtifactFiles": {"files": {"edges": [{"node": {**node, "uploadMultipartUrls": parts}}]}}},
        ]
    )

    async def work(server, base):
        _, target = await server.artifacts.create_manifest(AT, "a", None, "m", "FULL", "digest")
        (file,) = await server.artifacts.create_files([{"name": "file"}])
        expected = base + url if url.startswith("/") else url
        return {target.url, file.target.url, *(part.url for part in file.parts)} == {expected}

    assert run(fake, work)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            reply(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
            ServerUnavailable,
        ),
        (reply(400, b"<Error><Code>ExpiredToken</Code></Error>"), ServerUnavailable),
        (reply(400, b"<Error><Code>RequestTimeout</Code></Error>"), TimedOut),
        (reply(400, b"<Error><Code>BadDigest</Code></Error>"), ConnectionLost),
        (reply(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"), Forbidden),
        (reply(503, b"<Error><Code>SlowDown</Code></Error>"), ServerUnavailable),
        (reply(403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"), ClockWrong),
        (reply(507), QuotaExceeded),
        (reply(400), BadRequest),
        (reply(200, b"<html>login</html>"), CaptivePortal),
        (reply(307, b"", Location="http://127.0.0.1/x"), UnexpectedAnswer),
    ],
)
def test_refusals_of_object_stores_are_told_apart(answer, expected):
    """An expired address or a slow body passes; a wrong signature does not."""
    with pytest.raises(expected, match=r"f\.bin"):
        put(answer, b"payload", MD5)


def files_page(names: list[str], cursor: str | None) -> dict[str, object]:
    """One page of a run's files."""
    edges = [{"cursor": "x", "node": {"id": "i", "name": name, "sizeBytes": "12", "md5": BASE64}} for name in names]
    return {"edges": edges, "pageInfo": {"endCursor": cursor, "hasNextPage": cursor is not None}}


def page(names: list[str], cursor: str | None) -> dict[str, object]:
    """One page of RunFiles."""
    return {"project": {"run": {"fileCount": 3, "files": files_page(names, cursor)}}}


def test_files_are_read_over_all_pages():
    """The read-back sees every file, with size and MD5 as the server gives them."""
    answers = [status_answer(files=files_page(["a", "b"], "c1")), page(["c"], "c2"), page(["d"], None)]
    status, seen = ask(answers, lambda server: server.run_status("ann", "demo", "06uj925u"))
    assert status is not None
    assert status.files == tuple(RemoteFile(name, 12, BASE64) for name in "abcd")
    assert [request.json["variables"].get("fileCursor") for request in seen] == [None, "c1", "c2"]


def test_server_that_repeats_a_page_for_ever_is_not_asked_for_ever():
    """Everything is bounded, a listing too."""
    answers = [status_answer(files=files_page(["a"], "c1")), page(["a"], "c1")]
    with pytest.raises(UnexpectedAnswer, match="again and again"):
        ask(answers, lambda server: server.run_status("ann", "demo", "06uj925u"))


@pytest.mark.parametrize("answer", [{"project": None}, {"project": {"run": None}}])
def test_reading_a_run_that_is_not_there(answer):
    """Whose content was asked for is not found."""
    with pytest.raises(NotFound):
        ask(answer, lambda server: server.history_rows(AT, 0, 10, 10))


def test_history_rows_are_raw_texts_between_the_steps():
    """Rows come back as the JSON texts that the server keeps, numbers untouched."""
    rows = ['{"_step":5,"x":1.0}', '{"_step":6,"x":NaN,"y":12345678901234567890}']
    got, seen = ask({"project": {"run": {"history": rows}}}, lambda server: server.history_rows(AT, 5, 1005, 1000))
    assert got == rows
    variables = {"entity": "ann", "project": "demo", "run": "06uj925u", "minStep": 5, "maxStep": 1005, "pageSize": 1000}
    assert seen[0].json["variables"] == variables
    assert seen[0].json["operationName"] == "HistoryPage"


def test_the_end_of_the_console_is_read_as_the_official_client_reads_it():
    """Number, moment and text of each line, and how many there are; a server may know nothing of the moment."""
    first = {"number": 6, "timestamp": "2026-01-01T00:00:00", "line": "x"}
    last = {"number": 7, "timestamp": None, "line": ""}
    shown = {"logLineCount": 8, "logLines": {"edges": [{"node": first}, {"node": last}]}}
    tail, seen = ask({"project": {"run": shown}}, lambda server: server.console_tail(AT, 2))
    assert tail == ConsoleTail(8, (ConsoleLine(6, "2026-01-01T00:00:00", "x"), ConsoleLine(7, "", "")))
    assert seen[0].json["operationName"] == "RunConsoleLogTail"
    assert seen[0].json["variables"] == {"entity": "ann", "project": "demo", "run": "06uj925u", "last": 2}
    nothing = {"project": {"run": {"logLineCount": 0, "logLines": None}}}
    assert ask(nothing, lambda server: server.console_tail(AT, 2))[0] == ConsoleTail(0, ())


def test_alert_is_sent_as_recorded_and_must_be_confirmed():
    """The variables equal those of a recorded request of wandb 0.31; silence is no confirmation."""
    answer = {"notifyScriptableRunAlert": {"success": True}}
    _, seen = ask(answer, lambda server: server.send_alert(AT, "title", "text", "WARN", 60000))
    assert seen[0].json["variables"] == {
        "entityName": "ann",
        "projectName": "demo",
        "runName": "06uj925u",
        "title": "title",
        "text": "text",
        "severity": "WARN",
        "waitDuration": 60000,
    }
    with pytest.raises(UnexpectedAnswer, match="does not confirm"):
        ask(
            {"notifyScriptableRunAlert": {"success": False}},
            lambda server: server.send_alert(AT, "title", "text", "WARN", 60000),
        )


class _Names(Visitor):
    """The variables that a document uses."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()
        self.fields: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.used.add(node.name.value)

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.fields.add(node.name.value)


@pytest.mark.parametrize(
    "document",
    [value for value in vars(documents).values() if isinstance(value, documents.Document)]
    + [documents.run_statuses(1), documents.run_statuses(3)],
    ids=lambda d: d.name,
)
def test_documents_are_valid_and_named_as_they_say(document):
    """Each document parses, has one operation of its name, and uses every variable that it declares."""
    (operation,) = (each for each in parse(document.text).definitions if isinstance(each, OperationDefinitionNode))
    assert operation.name is not None
    assert operation.name.value == document.name
    declared = {variable.variable.name.value for variable in operation.variable_definitions or ()}
    names = _Names()
    visit(parse(document.text), names)
    assert names.used == declared
