"""No spelling, no name and no trick leads a request to an address that is not public."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flows import public_http
from flows.public_http import PublicHttp, check_url, is_public
from store.errors import AddressError
from store.ids import now
from store.settings import settings

INSIDE = [
    # loopback, in all that inet_aton takes
    *("127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7F.1"),
    *("0177.0.0.1", "0177.1", "017700000001", "0x7f.0.0.0x1", "127.000.000.001"),
    *("localhost", "LOCALHOST", "localhost.", "0", "0.0.0.0", "0x0", "0.1.2.3"),
    # IPv6, and IPv4 inside of it
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]"),
    *("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]"),
    *("[fe80::1]", "[fc00::1]", "[fd00::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]"),
    # private networks
    *("10.0.0.1", "10.1", "0xa000001", "172.16.0.1", "172.31.255.254", "192.168.0.1"),
    *("3232235521", "0xC0A80001", "0300.0250.0.1", "100.64.0.1", "100.127.255.254"),
    # metadata servers: AWS and others, Alibaba, Oracle, Azure, AWS on IPv6
    *("169.254.169.254", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376", "169.254.43518"),
    *("[::ffff:169.254.169.254]", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("[fd00:ec2::254]", "169.254.170.2"),
    # nobody's, or everybody's
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
]
OUTSIDE = [
    *("8.8.8.8", "134744072", "93.184.216.34", "172.32.0.1", "100.128.0.1", "11.0.0.1"),
    *("[2606:4700::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::8.8.8.8]"),
]


class Dialled(httpcore.ConnectError):
    """Instead of a connection."""


class Recorder(httpcore.AsyncNetworkBackend):
    """A network that nobody answers on, and that remembers who was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.calls.append(host)
        raise Dialled


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(httpcore, "AnyIOBackend", lambda: recorder)
    return recorder


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def allowing(networks: str) -> None:
        monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", networks)
        settings.cache_clear()

    settings.cache_clear()
    yield allowing
    settings.cache_clear()


def resolver(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Answers one after the other, the last for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def post(http: PublicHttp, url: str) -> tuple[int, bytes]:
    async with http.stream(
        "POST", url, headers={"x-test": "1"}, content=b"{}", timeout_seconds=5
    ) as answer:
        return answer.status, b"".join([part async for part in answer.aiter_stream()])


def test_the_table_of_spellings_is_long_enough():
    assert len(set(INSIDE)) >= 40


@pytest.mark.parametrize("host", INSIDE)
async def test_nothing_inside_is_dialled_however_it_is_spelt(host: str, network: Recorder):
    async with PublicHttp() as http:
        for scheme in ("http", "https"):
            # `localhost.` is a name that some resolvers do not know.
            expected = httpcore.ConnectError if host.endswith(".") else AddressError
            with pytest.raises((AddressError, expected)):
                await post(http, f"{scheme}://{host}/")
    assert network.calls == []


@pytest.mark.parametrize("host", INSIDE)
def test_a_number_that_is_not_public_is_refused_when_it_is_sent(host: str):
    with pytest.raises(AddressError):
        check_url(f"https://{host}/hook")


@pytest.mark.parametrize("host", OUTSIDE)
async def test_what_is_public_is_dialled(host: str, network: Recorder):
    check_url(f"https://{host}/hook")
    async with PublicHttp() as http:
        with pytest.raises(Dialled):
            await post(http, f"https://{host}/")
    (dialled,) = network.calls
    assert is_public(ip_address(dialled))


@pytest.mark.parametrize(
    "answers",
    [
        ["93.184.216.34", "10.0.0.1"],
        ["10.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "::1"],
        ["2606:4700::1111", "::ffff:127.0.0.1"],
        ["fe80::1%eth0"],
        ["2606:4700::1111%eth0"],
        ["::1%lo"],
    ],
)
async def test_one_address_inside_spoils_a_name(answers: list[str], network: Recorder):
    async with PublicHttp(resolve=resolver(answers)) as http:
        with pytest.raises(AddressError):
            await post(http, "https://two.example.com/")
    assert network.calls == []


async def test_a_name_that_changes_its_mind_gains_nothing(network: Recorder):
    """DNS rebinding: public when it is checked, inside when it is dialled."""
    changing = resolver(["93.184.216.34"], ["127.0.0.1"])
    async with PublicHttp(resolve=changing) as http:
        with pytest.raises(Dialled):
            await post(http, "http://rebind.example.com/")
        # What was checked was dialled: the address, not the name, which would be asked for again.
        assert network.calls == ["93.184.216.34"]
        with pytest.raises(AddressError):
            await post(http, "http://rebind.example.com/")
    assert network.calls == ["93.184.216.34"]


async def test_the_next_address_is_tried_where_the_first_does_not_answer(network: Recorder):
    async with PublicHttp(resolve=resolver(["93.184.216.34", "93.184.216.35"])) as http:
        with pytest.raises(Dialled):
            await post(http, "http://two.example.com/")
    assert network.calls == ["93.184.216.34", "93.184.216.35"]


async def test_other_ports_than_those_of_the_web_are_not_dialled(network: Recorder):
    async with PublicHttp(resolve=resolver(["93.184.216.34"])) as http:
        for port in (22, 25, 6379, 8080):
            with pytest.raises(AddressError, match=str(port)):
                await post(http, f"http://example.com:{port}/")
            with pytest.raises(AddressError, match=str(port)):
                check_url(f"http://example.com:{port}/")
    assert network.calls == []


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com", "https://", "https:///hook", "https:example.com"),
        *("ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:1"),
        *("https://user@example.com", "https://user:secret@example.com", "https://:s@example.com"),
        *(
            "https://exa mple.com",
            "https://example.com/\n",
            "https://example.com/\0",
            "https://[::1",
        ),
        *(
            "https://example.com#part",
            "https://example.com\\@10.0.0.1",
            "https://example.com:99999",
        ),
        *("https://[v1.a]/", "https://" + 300 * "a" + ".com", "https://example.com/" + 3000 * "a"),
        *("https://①②⑦.⓪.⓪.①/", "https://[fe80::1%25eth0]/", "https://127.0.0.1%00.example.com/"),
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(url: str, network: Recorder):
    try:
        check_url(url)
    except AddressError:
        return
    # Of what only looks odd the resolver decides, and nothing is dialled.
    async with PublicHttp() as http:
        with pytest.raises((AddressError, httpcore.ConnectError)):
            await post(http, url)
    assert network.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:80/hook?to=a@b&x=%20",
        "https://bücher.example/ünï",
        "https://example.com./",
        "https://user-content.example.com/a:b@c",
    ],
)
def test_an_ordinary_address_is_kept_as_it_was_sent(url: str):
    assert check_url(url) == url


# With real sockets


@asynccontextmanager
async def listening(
    answer: bytes, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A receiver on loopback; its port, and what came in."""
    heard: list[bytes] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(receive, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_an_allowed_network_is_reached_and_the_host_is_the_name(
    allow: Callable[[str], None],
):
    allow("127.0.0.0/8,10.1.0.0/16")
    async with listening(OK) as (port, heard):
        async with PublicHttp(resolve=resolver(["127.0.0.1"])) as http:
            url = check_url(f"http://hooks.example.com:{port}/a?b=c")
            assert await post(http, url) == (200, b"ok")
        async with PublicHttp() as http:
            for spelling in ("127.0.0.1", "2130706433", "0x7f.1"):
                assert (await post(http, check_url(f"http://{spelling}:{port}/")))[0] == 200
            with pytest.raises(AddressError):
                await post(http, "http://[::1]/")
    assert heard[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"host: hooks.example.com:{port}\r\n".encode() in heard[0].lower()
    assert len(heard) == 4


async def test_the_same_receiver_hears_nothing_where_its_network_is_not_allowed():
    async with listening(OK) as (port, heard):
        async with PublicHttp() as http:
            for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "0177.1"):
                with pytest.raises(AddressError):
                    await post(http, f"http://{host}:{port}/")
        assert heard == []


async def test_a_redirect_is_an_answer_and_is_not_followed(allow: Callable[[str], None]):
    allow("127.0.0.1/32")
    async with listening(OK) as (inner, heard):
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{inner}/\r\n"
        moved += "Content-Length: 0\r\n\r\n"
        async with listening(moved.encode()) as (port, _), PublicHttp() as http:
            assert (await post(http, f"http://127.0.0.1:{port}/"))[0] == 307
        assert heard == []


async def test_a_proxy_of_the_environment_is_not_asked(
    allow: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    allow("127.0.0.1/32")
    async with listening(OK) as (proxy, asked), listening(OK) as (port, heard):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        async with PublicHttp() as http:
            assert (await post(http, f"http://127.0.0.1:{port}/"))[0] == 200
    assert (len(asked), len(heard)) == (0, 1)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for hooks.example.com, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


async def test_the_certificate_must_be_for_the_name_although_an_address_is_dialled(
    certificate: Path, allow: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    allow("127.0.0.1/32")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    async with (
        listening(OK, context) as (port, heard),
        PublicHttp(resolve=resolver(["127.0.0.1"])) as http,
    ):
        assert (await post(http, f"https://hooks.example.com:{port}/"))[0] == 200
        with pytest.raises(httpcore.ConnectError):
            await post(http, f"https://other.example.com:{port}/")
    assert asked == ["hooks.example.com", "other.example.com"]
    assert len(heard) == 1


async def test_an_unknown_name_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch):
    def nobody(*_: Any, **__: Any) -> Any:
        raise public_http.socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(public_http.socket, "getaddrinfo", nobody)
    async with PublicHttp() as http:
        with pytest.raises(httpcore.ConnectError, match="name is not known"):
            await post(http, "https://no.such.example.com/")
