"""The API server is found from a kubeconfig or a pod, or the error says what to set."""

import json
from pathlib import Path
from typing import Any

import pytest

from warmfront.errors import SetupError
from warmfront.kube.connection import Connection


def _kubeconfig(user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "models"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:6443"} | cluster}],
        "users": [{"name": "u", "user": user}],
    }


def _write(folder: Path, config: Any) -> dict[str, str]:
    path = folder / "kubeconfig"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return {"KUBECONFIG": str(path)}


def test_token_and_namespace_come_from_the_current_context(tmp_path: Path) -> None:
    """Server, namespace and token are the current context's; the environment may name another namespace."""
    environ = _write(tmp_path, _kubeconfig({"token": "secret"}))
    connection = Connection.load(environ)
    assert (connection.origin.host, connection.origin.port, connection.namespace) == ("127.0.0.1", 6443, "models")
    assert connection.authorization() == [(b"authorization", b"Bearer secret")]
    assert Connection.load(environ | {"WARMFRONT_NAMESPACE": "other"}).namespace == "other"


def test_a_password_in_the_url_is_left_to_others(tmp_path: Path) -> None:
    """The embedded runtime also puts the token into the URL, for kn; we send it as bearer token."""
    config = _kubeconfig({"token": "secret"}, server="http://warmfront:secret@127.0.0.1:6443")
    connection = Connection.load(_write(tmp_path, config))
    assert connection.origin.authority == "127.0.0.1:6443"
    assert connection.authorization() == [(b"authorization", b"Bearer secret")]


def test_yaml_is_read_too(tmp_path: Path) -> None:
    """The same kubeconfig as YAML, as kubectl writes it."""
    text = "current-context: h\ncontexts: [{name: h, context: {cluster: c, user: u}}]\n"
    text += "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n"
    connection = Connection.load(_write(tmp_path, text))
    assert (connection.namespace, connection.authorization()) == ("default", [])


def test_a_rotated_token_file_is_read_anew(tmp_path: Path) -> None:
    """A cluster rotates its tokens: the file counts at each request."""
    token = tmp_path / "token"
    token.write_text("one\n")
    connection = Connection.load(_write(tmp_path, _kubeconfig({"tokenFile": str(token)})))
    assert connection.authorization() == [(b"authorization", b"Bearer one")]
    token.write_text("two\n")
    assert connection.authorization() == [(b"authorization", b"Bearer two")]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "not a kubeconfig"),
        ("- 1", "not a kubeconfig (found list)"),
        ({"contexts": []}, "'current-context' is missing"),
        (_kubeconfig({"exec": {}}), "logs in through a program"),
        (_kubeconfig({}, server="https://x", **{"certificate-authority-data": "?"}), "certificate cannot be used"),
        (_kubeconfig({}, server="https://x", **{"insecure-skip-tls-verify": True}), "insecure-skip-tls-verify"),
    ],
)
def test_bad_kubeconfig_says_what_to_do(tmp_path: Path, config: Any, said: str) -> None:
    """Each unusable kubeconfig has its own remedy, and the file is named."""
    with pytest.raises(SetupError) as caught:
        Connection.load(_write(tmp_path, config))
    assert said in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_nothing_found_names_the_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without kubeconfig and outside a pod the error names `warmfront up` and KUBECONFIG."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SetupError, match="run `warmfront up` or set KUBECONFIG"):
        Connection.load({})
    with pytest.raises(SetupError, match="cannot be read"):
        Connection.load({"KUBECONFIG": str(tmp_path / "none")})
