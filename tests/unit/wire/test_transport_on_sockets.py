"""The transport against real sockets that behave as servers behave in the wild."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import tracemalloc
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp.client_reqrep import ConnectionKey

from backhaul.errors import (
    BackhaulError,
    ConnectionLost,
    ConnectionRefused,
    HostNotFound,
    PayloadMissing,
    TimedOut,
    TlsFailure,
    UnexpectedAnswer,
    UnreadableFile,
)
from backhaul.wire.breakage import breakage
from backhaul.wire.message import FileSlice, Request, Response
from backhaul.wire.transport import HttpTransport

from ...steady_loop import run_steadily

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def head_of(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """Read one request head: its first line and its headers."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines if line)
    return first, {name.lower(): value for name, value in pairs}


async def body_of(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """Read the body that belongs to a head."""
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def send(request: Request, **options: object) -> Response:
    """Send one request through a transport of its own."""
    transport = HttpTransport({}, **options)  # type: ignore[arg-type]
    try:
        return await transport.send(request)
    finally:
        await transport.close()


def failure(request: Request, **options: object) -> BackhaulError:
    """The error that sending this request ends with."""
    with pytest.raises(BackhaulError) as caught:
        asyncio.run(send(request, **options))
    return caught.value


def test_answer_comes_back_with_status_lower_case_headers_and_body(listen):
    """An answer of any status is returned as it came, not raised."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 418 Teapot\r\nX-Thing: a\r\nX-THING: b\r\nContent-Length: 4\r\n\r\nbody")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            return await send(Request("GET", f"http://127.0.0.1:{port}/"))

    answer = asyncio.run(scenario())
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (418, b"body", "a, b")


@pytest.mark.parametrize(
    ("body", "length"), [(b"", "0"), (None, "0"), (b"abc", "3"), (b"x" * 300_000, "300000")], ids=str
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_every_body_is_sent_with_its_length_and_never_in_chunks(listen, method, body, length):
    """Object stores refuse chunked uploads, and an empty file needs a length too."""
    seen = []

    async def talk(reader, writer):
        first, headers = await head_of(reader)
        seen.append((first, headers, await body_of(reader, headers)))
        writer.write(OK)
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await send(Request(method, f"http://127.0.0.1:{port}/x?sig=a%2Fb%20c", {"X-Own": "1"}, body))

    asyncio.run(scenario())
    first, headers, received = seen[0]
    assert first == f"{method} /x?sig=a%2Fb%20c HTTP/1.1"
    assert headers["content-length"] == length
    assert headers["x-own"] == "1"
    assert "transfer-encoding" not in headers
    assert "content-type" not in headers, "a type that was not asked for can break a signature"
    assert received == (body or b"")


def test_file_slice_is_streamed_from_disk_in_constant_memory(listen, tmp_path):
    """A body of 64 MiB passes through a few MiB of memory, and exactly the slice arrives."""
    size, skipped = 64 * 1024 * 1024, 1000
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.write(b"head" * 250 + b"first")
        out.truncate(skipped + size)
    got = {}

    async def talk(reader, writer):
        _, headers = await head_of(reader)
        left = got["length"] = int(headers["content-length"])
        got["start"] = await reader.readexactly(5)
        left -= 5
        while left:
            left -= len(await reader.read(min(left, 65536)))
        writer.write(OK)
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("PUT", f"http://127.0.0.1:{port}/", {}, FileSlice(file, skipped, size)))

    tracemalloc.start()
    try:
        asyncio.run(scenario())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got == {"length": size, "start": b"first"}
    assert peak < 12 * 1024 * 1024


def test_name_without_address_is_host_not_found():
    """A name that the name service does not know is told as such."""
    assert isinstance(failure(Request("GET", "http://name.invalid/")), HostNotFound)


def test_port_where_nobody_listens_is_connection_refused():
    """A closed port is told as such, with the address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        error = failure(Request("GET", f"http://127.0.0.1:{port}/"))
    assert isinstance(error, ConnectionRefused)
    assert f"127.0.0.1:{port}" in error.message


def test_reset_in_the_middle_of_an_answer_is_connection_lost(listen):
    """A connection that is reset while the answer arrives does not pass for a short answer."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"))

    with pytest.raises(ConnectionLost):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "half a status line", "half a body", "half a chunk"],
)
def test_answer_that_ends_too_early_is_connection_lost(listen, answer):
    """A truncated answer is never returned."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(answer)
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"))

    with pytest.raises(ConnectionLost):
        asyncio.run(scenario())


def test_something_that_is_not_http_is_an_unexpected_answer(listen):
    """An SSH server on that port is not a network problem that time heals."""

    async def talk(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        await reader.read()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"))

    with pytest.raises(UnexpectedAnswer):
        asyncio.run(scenario())


def test_answer_over_the_bound_is_an_unexpected_answer(listen):
    """No server can fill our memory."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")
        writer.write(b"x" * 5_000_000)
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"), max_answer=1_000_000)

    with pytest.raises(UnexpectedAnswer, match="longer than 1000000 bytes"):
        asyncio.run(scenario())


def test_server_that_never_answers_times_out(listen):
    """Silence after the request ends with TimedOut."""

    async def talk(reader, _):
        await reader.read()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"), progress_timeout=0.2)

    with pytest.raises(TimedOut, match=r"0\.2 s"):
        asyncio.run(scenario())


def test_server_that_stops_in_its_answer_times_out(listen):
    """Silence in the middle of an answer ends with TimedOut."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        await reader.read()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"http://127.0.0.1:{port}/"), progress_timeout=0.2)

    with pytest.raises(TimedOut):
        asyncio.run(scenario())


def test_server_that_stops_reading_a_big_body_times_out(listen, tmp_path):
    """A stalled upload ends although the whole has no time limit (the official client waits for ever)."""
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.truncate(200 * 1024 * 1024)
    never = asyncio.Event()

    async def talk(reader, writer):
        await head_of(reader)
        writer.transport.pause_reading()
        await never.wait()

    async def scenario():
        async with listen(talk) as port:
            request = Request("PUT", f"http://127.0.0.1:{port}/", {}, FileSlice(file, 0, 200 * 1024 * 1024))
            await send(request, progress_timeout=0.3)

    with pytest.raises(TimedOut):
        asyncio.run(scenario())


def test_slow_answer_that_keeps_moving_is_no_stall(listen):
    """The limit is on the time without progress: an answer five times as long as the limit arrives whole."""

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n")
        for _ in range(15):
            await asyncio.sleep(0.1)
            writer.write(b"x")
            await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            return await send(Request("GET", f"http://127.0.0.1:{port}/"), progress_timeout=0.3)

    assert run_steadily(scenario()).body == b"x" * 15


def test_body_that_drains_slowly_from_the_send_buffer_is_no_stall(listen):
    """Bytes that the kernel still holds are on their way; the wait for the answer begins when they have left."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    listener.bind(("127.0.0.1", 0))
    size = 600_000

    async def talk(reader, writer):
        _, headers = await head_of(reader)
        left = int(headers["content-length"])
        while left:
            left -= len(await reader.read(min(left, 20_000)))
            await asyncio.sleep(0.04)
        writer.write(OK)
        await writer.drain()

    async def scenario():
        async with listen(talk, sock=listener) as port:
            request = Request("POST", f"http://127.0.0.1:{port}/", {}, b"x" * size)
            return await send(request, progress_timeout=0.5)

    began = run_steadily(_timed(scenario()))
    assert began[0].status == 200
    assert began[1] > 1.0, "the body was read so fast that the test says nothing"


async def _timed(work):
    loop = asyncio.get_running_loop()
    start = loop.time()
    return await work, loop.time() - start


def test_waiting_for_a_free_connection_is_no_stall(listen):
    """The pool is bounded; who waits for a place in it does not time out."""
    open_now, most = 0, 0

    async def talk(reader, writer):
        nonlocal open_now, most
        await head_of(reader)
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.1)
        open_now -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            transport = HttpTransport({}, connections=2, progress_timeout=0.3)
            request = Request("GET", f"http://127.0.0.1:{port}/")
            answers = await asyncio.gather(*(transport.send(request) for _ in range(12)))
            await transport.close()
            return [answer.status for answer in answers]

    assert run_steadily(scenario()) == [200] * 12
    assert most == 2


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_lost_request_is_never_sent_again_by_the_transport(listen, method):
    """Retrying belongs to one layer: a connection that dies under a request makes an error, not a second request."""
    requests = []

    async def talk(reader, writer):
        for answer in (OK, b""):
            first, headers = await head_of(reader)
            await body_of(reader, headers)
            requests.append(first)
            writer.write(answer)
            await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            transport = HttpTransport({})
            request = Request(method, f"http://127.0.0.1:{port}/", {}, b"x" if method != "GET" else None)
            await transport.send(request)
            try:
                await transport.send(request)
            finally:
                await transport.close()

    with pytest.raises(ConnectionLost):
        asyncio.run(scenario())
    assert len(requests) == 2


def test_idle_connection_is_closed_by_us(listen):
    """A server never has to end our connections: thousands of runs leave no descriptors behind."""
    closed = asyncio.Event()

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(OK)
        await writer.drain()
        assert await reader.read() == b""
        closed.set()

    async def scenario():
        async with listen(talk) as port:
            transport = HttpTransport({}, idle_timeout=0.1)
            await transport.send(Request("GET", f"http://127.0.0.1:{port}/"))
            await asyncio.wait_for(closed.wait(), 60)
            await transport.close()

    asyncio.run(scenario())


def test_redirect_of_a_post_is_returned_and_not_followed(listen):
    """A key and a body must not travel to where a redirect points."""
    requests = []

    async def talk(reader, writer):
        requests.append((await head_of(reader))[0])
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            return await send(Request("POST", f"http://127.0.0.1:{port}/graphql", {}, b"{}"))

    assert asyncio.run(scenario()).status == 302
    assert requests == ["POST /graphql HTTP/1.1"]


def test_refusal_before_the_body_was_read_is_returned_as_the_answer(listen, tmp_path):
    """A server that says 413 at the sight of the length is heard, though the body is not out yet."""
    file = tmp_path / "big"
    with file.open("wb") as out:
        out.truncate(100 * 1024 * 1024)

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        while await reader.read(65536):
            pass

    async def scenario():
        async with listen(talk) as port:
            request = Request("PUT", f"http://127.0.0.1:{port}/", {}, FileSlice(file, 0, 100 * 1024 * 1024))
            return await send(request)

    answer = asyncio.run(scenario())
    assert (answer.status, answer.body) == (413, b"big")


@pytest.mark.parametrize(("there", "expected"), [(False, PayloadMissing), (True, UnreadableFile)])
def test_file_that_is_gone_or_became_shorter_is_not_told_as_a_network_failure(listen, tmp_path, there, expected):
    """The file is what must be looked at, not the network."""
    file: Path = tmp_path / "payload.bin"
    if there:
        file.write_bytes(b"12345")

    async def talk(reader, _):
        await reader.read()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("PUT", f"http://127.0.0.1:{port}/", {}, FileSlice(file, 0, 10)))

    with pytest.raises(expected, match=r"payload\.bin"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "nonsense"),
        Request("GET", "ftp://127.0.0.1/x"),
        Request("GET", "http://127.0.0.1:port/"),
    ],
    ids=["no address", "no http", "no port"],
)
def test_address_that_is_none_is_refused_for_good(request_):
    """What a server hands out as an upload target may be broken; trying again would not mend it."""
    assert isinstance(failure(request_), UnexpectedAnswer)


def test_line_break_in_a_header_is_refused_and_nothing_is_sent(listen):
    """A header that a server hands out cannot smuggle a second one into our request."""

    async def scenario():
        received = asyncio.get_running_loop().create_future()

        async def talk(reader, _):
            received.set_result(await reader.read())

        async with listen(talk) as port:
            with pytest.raises(UnexpectedAnswer):
                await send(Request("PUT", f"http://127.0.0.1:{port}/", {"X": "a\r\nY: b"}, b"body"))
            return await asyncio.wait_for(received, 60)

    assert asyncio.run(scenario()) == b""


def _certificate(name: str = "localhost") -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return authority, context


async def _greet(reader, writer):
    await head_of(reader)
    writer.write(OK)
    await writer.drain()


async def _ask_over_tls(listen, tls, env, **options):
    async with listen(_greet, tls=tls) as port:
        transport = HttpTransport(env, **options)
        try:
            return await transport.send(Request("GET", f"https://localhost:{port}/"))
        finally:
            await transport.close()


def test_untrusted_certificate_is_a_tls_failure(listen):
    """A certificate of an unknown authority is told with who signed it and the way out, not tried again."""
    _, tls = _certificate()
    with pytest.raises(TlsFailure, match=r"not trusted.* it is signed by trustme") as caught:
        asyncio.run(_ask_over_tls(listen, tls, {}))
    assert "SSL_CERT_FILE" in caught.value.next


def test_certificate_of_another_name_is_a_tls_failure(listen, tmp_path):
    """A trusted certificate does not do for another host."""
    authority, tls = _certificate("wandb.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(TlsFailure):
        asyncio.run(_ask_over_tls(listen, tls, {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_bundle_named_in_the_environment_is_trusted(listen, tmp_path, variable):
    """Both variables that people set for an inspecting proxy work, each alone."""
    authority, tls = _certificate()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert asyncio.run(_ask_over_tls(listen, tls, {variable: str(tmp_path / "ca.pem")})).status == 200


def test_bundle_that_does_not_exist_is_told_with_its_variable(tmp_path):
    """A wrong path in SSL_CERT_FILE is said, instead of a handshake that fails somehow."""
    with pytest.raises(TlsFailure, match=r"SSL_CERT_FILE names .*nowhere\.pem"):
        asyncio.run(_ask_without_server({"SSL_CERT_FILE": str(tmp_path / "nowhere.pem")}))


async def _ask_without_server(env):
    transport = HttpTransport(env)
    try:
        await transport.send(Request("GET", "https://localhost:9/"))
    finally:
        await transport.close()


def test_disabled_tls_verification_is_honoured(listen):
    """WANDB_INSECURE_DISABLE_SSL means what it means for wandb."""
    _, tls = _certificate()
    assert asyncio.run(_ask_over_tls(listen, tls, {"WANDB_INSECURE_DISABLE_SSL": "true"})).status == 200


def test_plain_http_on_a_tls_port_is_a_tls_failure(listen):
    """https:// towards a server that speaks plain HTTP is a matter of the address, not of time."""

    async def talk(reader, writer):
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"https://127.0.0.1:{port}/"))

    with pytest.raises(TlsFailure):
        asyncio.run(scenario())


def test_hang_up_during_the_handshake_is_connection_lost(listen):
    """A load balancer that restarts is no matter of trust."""

    async def talk(reader, _):
        await reader.read(100)

    async def scenario():
        async with listen(talk) as port:
            await send(Request("GET", f"https://127.0.0.1:{port}/"))

    with pytest.raises(ConnectionLost):
        asyncio.run(scenario())


def test_handshake_that_never_ends_times_out(listen):
    """The time for TCP and TLS is bounded on its own."""

    async def talk(reader, _):
        await reader.read()

    async def scenario():
        async with listen(talk) as port:
            with pytest.raises(TimedOut):
                await send(Request("GET", f"https://127.0.0.1:{port}/"), connect_timeout=0.5)

    _, seconds = run_steadily(_timed(scenario()))
    assert 0.5 <= seconds < 10  # the usual time


def test_end_of_stream_inside_the_handshake_is_no_matter_of_trust():
    """Some versions of OpenSSL tell a hang-up as an SSL error; it stays a lost connection."""
    cut = aiohttp.ClientConnectorSSLError(
        ConnectionKey("h", 443, True, True, None, None, None), ssl.SSLEOFError(8, "EOF occurred in violation")
    )
    assert isinstance(breakage(cut, "https://h/", None), ConnectionLost)


def test_compressed_answer_is_unpacked_and_bounded(listen):
    """A small answer that unpacks to a huge one meets the same bound."""
    import gzip

    packed = gzip.compress(b"0" * 5_000_000)

    async def talk(reader, writer):
        await head_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed))
        writer.write(packed)
        await writer.drain()

    async def scenario(bound):
        async with listen(talk) as port:
            return await send(Request("GET", f"http://127.0.0.1:{port}/"), max_answer=bound)

    assert asyncio.run(scenario(5_000_000)).body == b"0" * 5_000_000
    with pytest.raises(UnexpectedAnswer):
        asyncio.run(scenario(4_999_999))
