"""A token that is revoked in mid-stream: nothing is acknowledged, nothing buried; a new version is found and used."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import secret_manager

from pipeline.errors import CommandError
from pipeline.sources.pubsub.subscriber import Subscription
from sandbox.pubsub.publisher import PubSub
from sandbox.shop.generator import purchases
from sandbox.tiktok.control import Sandbox
from transforms.tiktok import TokenSource

PARENT = "projects/test-project"
LATEST = f"{PARENT}/secrets/tiktok-token/versions/latest"
SECOND = "the-second-token"

_servers: list[secret_manager.SecretManager] = []


def tokens(reference: str) -> TokenSource:
    """Makes a source that reads from the running Secret Manager, over gRPC."""
    return TokenSource(reference, client_factory=_servers[-1].client)


@pytest.fixture
def store(sandbox: Sandbox) -> Iterator[Any]:
    """A Secret Manager with the sandbox's token as the first version."""
    with secret_manager.SecretManager().serving() as server:
        _servers.append(server)
        client = server.client()
        client.create_secret(parent=PARENT, secret_id="tiktok-token", secret={})
        add(client, sandbox.token)
        yield server
        _servers.remove(server)


def add(client: Any, token: str) -> None:
    client.add_secret_version(parent=f"{PARENT}/secrets/tiktok-token", payload={"data": token.encode()})


def test_a_revoked_token_stops_everything_and_a_new_version_of_the_secret_lets_it_go_on(
    run_stream: Callable[..., Any],
    pubsub: PubSub,
    sandbox: Sandbox,
    store: Any,
    name: str,
    background: Callable[..., Any],
    eventually: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    subscription = pubsub.subscription(name)
    messages = list(purchases(3_000, seed=4))
    pubsub.publish(name, messages[:1_000])
    ends: list[Any] = []
    settings = {"access_token": LATEST, "probe_secs": 2.0}
    thread = background(
        lambda: ends.append(
            run_stream(settings, arguments={"tokens": tokens}, subscription=subscription, max_seconds=120.0)
        )
    )
    eventually(lambda: pubsub.stats(subscription).acknowledged == 1_000)
    sandbox.revoke()
    pubsub.publish(name, messages[1_000:])
    eventually(lambda: sandbox.stats().count(code=40105) >= 3)
    requests, readings = sandbox.stats().requests, len(store.accessed)
    eventually(lambda: sandbox.stats().requests >= requests + 3)
    # Probes, one by one; each with the secret read again.
    during = pubsub.stats(subscription)
    assert (during.acknowledged, during.held) == (1_000, 2_000)
    assert len(store.accessed) >= readings + 3
    assert len(sandbox.accepted()) == 1_000
    sandbox.accept_token(SECOND)
    add(store.client(), SECOND)
    eventually(lambda: pubsub.stats(subscription).held == 0)
    Subscription.of(subscription).stop()
    thread.join(60)
    (ended,) = ends
    assert ended.outcomes == {("delivered", None): 3_000}
    assert ended.rows("dead_letters") == []
    assert pubsub.stats(subscription).held == 0
    assert pubsub.stats(subscription).handed_out == 3_000
    stopped = [record for record in caplog.records if "Stopped sending" in record.getMessage()]
    assert [record.levelno for record in stopped] == [logging.ERROR]
    assert "code 40105" in stopped[0].getMessage()
    assert "tried again every 2 s" in stopped[0].getMessage()
    assert "Sending again, after" in caplog.text
    assert sandbox.token not in caplog.text
    assert SECOND not in caplog.text


def test_a_stream_that_ends_behind_an_open_circuit_leaves_its_messages_in_pubsub(
    run_stream: Callable[..., Any], pubsub: PubSub, sandbox: Sandbox, name: str
) -> None:
    subscription = pubsub.subscription(name)
    pubsub.publish(name, purchases(100))
    sandbox.revoke()
    with pytest.raises(CommandError, match=r"Ended while TikTok refuses the token .* stays in .*check --online"):
        run_stream(subscription=subscription, max_seconds=5.0)
    assert pubsub.stats(subscription).acknowledged == 0
    assert pubsub.stats(subscription).held == 100
