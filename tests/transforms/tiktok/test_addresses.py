"""Which addresses may get the token, and which can be a proxy's."""

import pytest

from transforms.tiktok.addresses import check_api_url, check_proxy_url


@pytest.mark.parametrize(
    "api_url",
    [
        "https://business-api.tiktok.com/open_api/v1.3/",
        "http://127.0.0.1:8080/open_api/v1.3/",
        "http://127.9.9.9/",
        "http://localhost:1/",
        "http://[::1]:8080/",
    ],
)
def test_https_and_loopback_addresses_may_get_the_token(api_url: str) -> None:
    check_api_url(api_url)


@pytest.mark.parametrize(
    ("api_url", "remedy"),
    [
        ("http://business-api.tiktok.com/open_api/v1.3/", "use https://"),
        ("http://10.0.0.1/", "use https://"),
        ("http://localhost.example.com/", "use https://"),
        ("http://127.0.0.1.example.com/", "use https://"),
        ("http://127.1/", "use https://"),
        ("ftp://business-api.tiktok.com/", "write https://HOST/PATH/"),
        ("business-api.tiktok.com/open_api/", "write https://HOST/PATH/"),
        ("https:///open_api/", "write https://HOST/PATH/"),
        ("https://[::1/", "write https://HOST/PATH/"),
        ("", "write https://HOST/PATH/"),
        ("https://example.com/?a=b", "write https://HOST/PATH/"),
        ("https://example.com/#a", "write https://HOST/PATH/"),
        ("https://jane:pass5word@example.com/", "leave out user and password"),
    ],
)
def test_other_addresses_are_refused_with_the_remedy_and_not_repeated(api_url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy) as caught:
        check_api_url(api_url)
    assert "pass5word" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy_url",
    [
        "http://proxy.acme.example:3128",
        "https://proxy.acme.example",
        "http://10.0.0.1:8080/",
        "http://[::1]:1",
        "http://squid_1:1",
    ],
)
def test_addresses_of_proxies_are_taken(proxy_url: str) -> None:
    check_proxy_url(proxy_url)


@pytest.mark.parametrize(
    ("proxy_url", "remedy"),
    [
        ("proxy.acme.example:3128", "write http://HOST:PORT"),
        ("socks5://proxy.acme.example:1080", "write http://HOST:PORT"),
        ("http://", "write http://HOST:PORT"),
        ("http://[::1", "write http://HOST:PORT"),
        ("http://proxy.acme.example:3128/path", "write http://HOST:PORT"),
        ("http://proxy.acme.example:3128?a=b", "write http://HOST:PORT"),
        ("http://proxy acme.example:3128", "write http://HOST:PORT"),
        ("", "write http://HOST:PORT"),
        ("http://jane:pass5word@proxy.acme.example:3128", "leave out user and password"),
        ("http://pass5word@proxy.acme.example:3128", "leave out user and password"),
    ],
)
def test_other_addresses_of_proxies_are_refused_with_the_remedy_and_not_repeated(proxy_url: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"^proxy_url: .*{remedy}") as caught:
        check_proxy_url(proxy_url)
    assert "pass5word" not in str(caught.value)
