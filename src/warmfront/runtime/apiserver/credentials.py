"""Who may use the API: whoever can read the kubeconfig. How clients carry its token, and how the server knows it.

`kn` and `kubectl` leave a kubeconfig's `user` out unless the server is https (client-go, clientcmd.ClientConfig), and
certificates cannot be made with the standard library. So the token is in the server's URL as well, as the password of
a user: Go's HTTP client sends that as Basic authentication, and hides it in its messages. Clients that do read the
`user`, such as the selector, send it as a Bearer token.
"""

import base64
import hmac
import os
from pathlib import Path

import msgspec

_USER = "warmfront"


def write_kubeconfig(path: Path, *, port: int, token: str) -> None:
    """Write a kubeconfig (JSON, which is YAML too) that only this user can read, in one step."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _USER, "cluster": {"server": f"http://{_USER}:{token}@127.0.0.1:{port}"}}],
        "users": [{"name": _USER, "user": {"token": token}}],
        "contexts": [{"name": _USER, "context": {"cluster": _USER, "user": _USER, "namespace": "default"}}],
        "current-context": _USER,
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(config))
    draft.replace(path)


class Gate:
    """Knows the one token, which must be of characters that a URL leaves as they are, such as a hex number."""

    def __init__(self, token: str) -> None:
        basic = base64.b64encode(f"{_USER}:{token}".encode())
        self._accepted = (b"Bearer " + token.encode(), b"Basic " + basic)

    def admits(self, authorization: bytes | None) -> bool:
        """Whether this Authorization header proves the token; takes the same time for every wrong one."""
        given = authorization or b""
        return any(hmac.compare_digest(given, accepted) for accepted in self._accepted)
