"""Keys, roles, and what holds where no key is set."""

from pathlib import Path

import httpx
import pytest

from serving.auth import Identity, Keys, check_address, is_loopback
from tandem.errors import ConfigError, Unauthorized
from tests.serving.gateway import run_gateway

KEYS = Keys.from_environment({"TANDEM_API_KEY": "user-key", "TANDEM_ADMIN_KEY": "admin-key"})
DOCUMENT = {"documents": [{"id": "x", "text": "Something."}]}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_door_takes_its_keys(home: Path) -> None:
    with run_gateway(home, keys=KEYS) as gateway:

        def status(method: str, path: str, key: str | None, body: object = None) -> int:
            return gateway.http.request(method, path, json=body, headers=bearer(key) if key else {}).status_code

        route = "/v1/domains/shop/documents"
        assert [status("GET", "/v1/models", key) for key in (None, "wrong", "user-key", "admin-key")] == [
            401,
            401,
            200,
            200,
        ]
        assert [status("POST", route, key, DOCUMENT) for key in (None, "user-key", "admin-key")] == [401, 403, 200]
        assert [status("DELETE", f"{route}/x", key) for key in ("user-key", "admin-key")] == [403, 200]
        assert [status("GET", path, None) for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


def test_a_wrong_key_gets_openais_error_and_no_body_is_read(home: Path) -> None:
    with run_gateway(home, keys=KEYS) as gateway:
        response = gateway.http.post("/v1/ask", content=b"{broken", headers=bearer("nope"))
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_without_keys_another_host_name_is_refused(home: Path, host: str) -> None:
    with run_gateway(home) as gateway:
        response = gateway.http.get("/v1/models", headers={"Host": host})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "host_not_allowed")


def test_without_keys_pages_of_other_sites_are_refused(home: Path) -> None:
    with run_gateway(home) as gateway:
        files = {"files": ("x.md", b"Something.")}
        route = "/v1/domains/shop/documents"
        refused = gateway.http.post(route, files=files, headers={"Origin": "https://evil.example"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
        assert gateway.http.post(route, files=files, headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_with_keys_any_host_name_is_served(home: Path) -> None:
    with run_gateway(home, keys=KEYS) as gateway:
        headers = bearer("user-key") | {"Host": "tandem.example"}
        assert httpx.get(f"{gateway.url}/v1/models", headers=headers, trust_env=False).status_code == 200


def test_keys_come_from_files_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first\n\nsecond \n")
    keys = Keys.from_environment({"TANDEM_API_KEY_FILE": str(file)})
    assert keys.identify("Bearer second") == keys.identify("bearer first") == Identity("user", "user")
    with pytest.raises(Unauthorized):
        keys.identify("Bearer third")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TANDEM_API_KEY": ""}, "TANDEM_API_KEY is empty"),
        ({"TANDEM_API_KEY": "same", "TANDEM_ADMIN_KEY": "same"}, "make them different"),
        ({"TANDEM_API_KEY": "x", "TANDEM_API_KEY_FILE": "y"}, "keep one"),
        ({"TANDEM_ADMIN_KEY_FILE": "/does/not/exist"}, "cannot be read"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Keys.from_environment(environment)


def test_without_keys_only_loopback_is_listened_on() -> None:
    check_address("127.0.0.1", Keys())
    check_address("0.0.0.0", KEYS)
    with pytest.raises(ConfigError, match=r"Refusing to listen on 0\.0\.0\.0 without keys"):
        check_address("0.0.0.0", Keys())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "LocalHost."])
def test_loopback_is_known_in_all_its_spellings(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost.evil.example", ""])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)
