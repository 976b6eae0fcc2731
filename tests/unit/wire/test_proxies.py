"""Proxies: which one is taken, and what it does with a request."""

from __future__ import annotations

import asyncio
import base64
import ssl

import pytest
import trustme

from backhaul.errors import ConnectionRefused, HostNotFound, ProxyRefused
from backhaul.wire.message import Request
from backhaul.wire.proxy import proxy_for, without_password
from backhaul.wire.transport import HttpTransport

P = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "env", "expected"),
    [
        ("https://api.wandb.ai/graphql", {}, None),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P}, P),
        ("https://api.wandb.ai/graphql", {"https_proxy": P}, P),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": "proxy:3128"}, P),
        ("https://api.wandb.ai/graphql", {"HTTP_PROXY": P}, None),
        ("http://api.wandb.ai/graphql", {"HTTP_PROXY": P}, P),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "wandb.ai"}, None),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P, "no_proxy": " x.org , .wandb.ai"}, None),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "*.wandb.ai"}, None),
        ("https://wandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": ".wandb.ai"}, P),
        ("https://mywandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "wandb.ai"}, P),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "*"}, None),
        ("https://api.wandb.ai/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "wandb.ai:8080"}, P),
        ("https://api.wandb.ai:8080/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "wandb.ai:8080"}, None),
        ("https://10.1.2.3/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "10.0.0.0/8"}, P),
        ("https://10.1.2.3/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "10.1.2.3"}, None),
        ("https://[fd00::1]/graphql", {"HTTPS_PROXY": P, "NO_PROXY": "fd00::/8"}, None),
        ("http://localhost:8765/graphql", {"HTTP_PROXY": P}, None),
        ("http://127.0.0.1:8765/graphql", {"HTTP_PROXY": P}, None),
        ("http://[::1]:8765/graphql", {"HTTP_PROXY": P}, None),
    ],
)
def test_proxy_is_chosen_as_go_and_curl_choose_it(url, env, expected):
    """The environment that works for wandb works for us."""
    assert proxy_for(url, env) == expected


def test_wandbs_own_proxy_setting_wins_over_everything():
    """WANDB_HTTPS_PROXY is for W&B traffic, whatever NO_PROXY says."""
    env = {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"}
    assert proxy_for("https://api.wandb.ai/", env, https_proxy=P) == P


def test_socks_proxy_is_refused_without_showing_its_password():
    """What we cannot speak is told at once, and the password in its address stays out of the message."""
    with pytest.raises(ProxyRefused, match="socks5://gate:1080") as caught:
        proxy_for("https://api.wandb.ai/", {"HTTPS_PROXY": "socks5://me:hunter2@gate:1080"})
    assert "hunter2" not in str(caught.value.as_json())
    assert without_password("http://me:hunter2@gate:1080/x") == "http://gate:1080"


async def _head(reader):
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def _ask(env, url, **options):
    transport = HttpTransport(env, **options)
    try:
        return await transport.send(Request("GET", url))
    finally:
        await transport.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_password_is_proxy_refused(listen, scheme):
    """407 is the proxy's word, for a tunnel and for a plain request alike, and no answer of the server."""

    async def talk(reader, writer):
        await _head(reader)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await _ask({f"{scheme.upper()}_PROXY": f"http://me:hunter2@127.0.0.1:{port}"}, f"{scheme}://wandb.example/")

    with pytest.raises(ProxyRefused) as caught:
        asyncio.run(scenario())
    assert "hunter2" not in str(caught.value.as_json())


@pytest.mark.parametrize(
    ("status", "expected"), [(403, ProxyRefused), (502, ConnectionRefused), (503, ConnectionRefused)]
)
def test_tunnel_that_is_not_opened_tells_policy_from_outage(listen, status, expected):
    """A proxy that forbids the host says so for good; one that cannot reach it may later."""

    async def talk(reader, writer):
        await _head(reader)
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            await _ask({"HTTPS_PROXY": f"http://127.0.0.1:{port}"}, "https://wandb.example/")

    with pytest.raises(expected, match=r"wandb\.example"):
        asyncio.run(scenario())


def test_plain_request_goes_through_the_proxy_with_its_password(listen):
    """User and password in the proxy's address are sent to the proxy."""
    heads = []

    async def talk(reader, writer):
        heads.append(await _head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scenario():
        async with listen(talk) as port:
            return await _ask({"HTTP_PROXY": f"http://me:hunter2@127.0.0.1:{port}"}, "http://wandb.example/x?y=1")

    assert asyncio.run(scenario()).status == 200
    expected = base64.b64encode(b"me:hunter2").decode()
    assert heads[0].startswith("GET http://wandb.example/x?y=1 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {expected}" in heads[0]


def test_https_goes_through_a_tunnel_and_checks_the_servers_own_certificate(listen, tmp_path):
    """The name is resolved by the proxy, and TLS is spoken with the server behind it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("wandb.example").configure_cert(tls)
    seen = []

    async def server(reader, writer):
        seen.append(await _head(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        await reader.read()

    async def pump(source, sink):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    async def scenario():
        async with listen(server, tls=tls) as behind:

            async def tunnel(reader, writer):
                seen.append(await _head(reader))
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", behind)
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

            async with listen(tunnel) as port:
                env = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
                return await _ask(env, "https://wandb.example/path")

    assert asyncio.run(scenario()).body == b"hi"
    assert seen[0].startswith("CONNECT wandb.example:443 HTTP/1.1\r\n")
    assert seen[1].startswith("GET /path HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("proxy", "expected"), [("http://127.0.0.1:1", ConnectionRefused), ("http://proxy.invalid:1", HostNotFound)]
)
def test_proxy_that_cannot_be_reached_is_named(proxy, expected):
    """The user learns that it is the proxy that is missing."""
    with pytest.raises(expected, match=r"127\.0\.0\.1:1|proxy\.invalid"):
        asyncio.run(_ask({"HTTPS_PROXY": proxy}, "https://wandb.example/"))
