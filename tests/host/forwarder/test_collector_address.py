# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_host.forwarder.collector_address import CollectorAddress


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:4318", CollectorAddress("127.0.0.1", 4318)),
        ("http://[::1]:14268/", CollectorAddress("::1", 14268)),
        ("http://collector", CollectorAddress("collector", 4318)),
        ("http://a:1/b/c/", CollectorAddress("a", 1, prefix="/b/c")),
        ("unix:///run/x", CollectorAddress("localhost", 0, path="/run/x")),
    ],
)
def test_urls_are_read(url: str, target: CollectorAddress) -> None:
    assert CollectorAddress.parse(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "https://a:1",
        "a:1",
        "http://",
        "unix://a/b",
        "http://a?b=c",
        "http://a:b",
        "http://a:99999",
        "http://a:0",
        "http://a..b",
        "http://[::1",
        "http://a/\xe9",
        "http://a/b c",
        f"unix:///{'a' * 107}",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="^invalid collector "):
        CollectorAddress.parse(url)
