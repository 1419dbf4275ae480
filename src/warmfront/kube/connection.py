"""Where the API server is and how to prove who we are: from a kubeconfig, or from inside a pod.

The same selector runs on a laptop (a kubeconfig written by the embedded runtime) and in a pod (its ServiceAccount).
"""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from warmfront.errors import SetupError
from warmfront.wire.pool import Origin

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An API server and our credentials. `token_file` is read anew per request: cluster tokens rotate."""

    origin: Origin
    namespace: str = "default"
    token: str = ""
    token_file: Path | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Connection":
        """Find the API server: `KUBECONFIG`, else the pod's ServiceAccount, else `~/.kube/config`.

        Raises:
            SetupError: nothing found, or what was found cannot be used; the message says which and what to do.
        """
        if environ.get("KUBECONFIG"):
            return cls.from_kubeconfig(Path(environ["KUBECONFIG"].split(os.pathsep)[0]), environ)
        if environ.get("KUBERNETES_SERVICE_HOST") and SERVICE_ACCOUNT.exists():
            return cls.in_cluster(environ)
        default = Path.home() / ".kube" / "config"
        if default.exists():
            return cls.from_kubeconfig(default, environ)
        raise SetupError(
            "no Kubernetes API found: KUBECONFIG is not set, this is not a pod and ~/.kube/config does not exist; "
            "run `warmfront up` or set KUBECONFIG"
        )

    @classmethod
    def in_cluster(cls, environ: Mapping[str, str]) -> "Connection":
        """The API server as a pod sees it, with the pod's ServiceAccount."""
        tls = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
        port = int(environ.get("KUBERNETES_SERVICE_PORT", "443"))
        own = (SERVICE_ACCOUNT / "namespace").read_text().strip()
        return cls(
            origin=Origin(host=environ["KUBERNETES_SERVICE_HOST"], port=port, tls=tls),
            namespace=environ.get("WARMFRONT_NAMESPACE", own),
            token_file=SERVICE_ACCOUNT / "token",
        )

    @classmethod
    def from_kubeconfig(cls, path: Path, environ: Mapping[str, str]) -> "Connection":
        """The current context of a kubeconfig with a token or a client certificate."""
        config = _read(path)
        try:
            context = _named(config["contexts"], config["current-context"])["context"]
            cluster = _named(config["clusters"], context["cluster"])["cluster"]
            user = _named(config["users"], context["user"])["user"]
            server = cluster["server"]
        except (KeyError, TypeError) as error:
            raise SetupError(f"{path}: {error} is missing; write a kubeconfig with a current-context") from error
        if "exec" in user or "auth-provider" in user:
            raise SetupError(
                f"{path}: the user {context['user']!r} logs in through a program, which Warmfront does not run; "
                "run `kubectl proxy` and point KUBECONFIG at it, or use a token or a client certificate"
            )
        tls = _tls(path, cluster, user) if server.startswith("https:") else None
        # a token in the URL is for clients that leave `user` out over plain http; we read `user`
        scheme, _, authority = server.rpartition("://")
        return cls(
            origin=Origin.parse(f"{scheme}://{authority.rpartition('@')[2]}", tls=tls),
            namespace=environ.get("WARMFRONT_NAMESPACE") or context.get("namespace") or "default",
            token=user.get("token", ""),
            token_file=Path(user["tokenFile"]) if "tokenFile" in user else None,
        )

    def authorization(self) -> list[tuple[bytes, bytes]]:
        """The header that proves who we are; empty for client certificates."""
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return [(b"authorization", b"Bearer " + token.encode())] if token else []


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read ({error.strerror}); point KUBECONFIG at a kubeconfig") from error
    try:
        # JSON first: what the embedded runtime writes, and the selector then starts without a YAML parser
        config = msgspec.json.decode(text) if text.lstrip().startswith(b"{") else msgspec.yaml.decode(text)
    except msgspec.DecodeError as error:
        raise SetupError(f"{path}: not a kubeconfig ({error}); point KUBECONFIG at one") from error
    if not isinstance(config, dict):
        raise SetupError(f"{path}: not a kubeconfig (found {type(config).__name__}); point KUBECONFIG at one")
    return config


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _tls(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    try:
        authority = _pem(cluster, "certificate-authority", path)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            raise SetupError(f"{path}: insecure-skip-tls-verify is set; give certificate-authority-data instead")
        certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
        if certificate and key:
            # the ssl module takes a client certificate from a file only
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(certificate + b"\n" + key)
                pair.flush()
                tls.load_cert_chain(pair.name)
    except (OSError, binascii.Error, ValueError) as error:
        raise SetupError(f"{path}: a certificate cannot be used ({error}); renew the kubeconfig") from error
    return tls


def _pem(entry: dict[str, Any], field: str, path: Path) -> bytes | None:
    if f"{field}-data" in entry:
        return base64.b64decode(entry[f"{field}-data"], validate=True)
    if field in entry:
        return (path.parent / str(entry[field])).read_bytes()
    return None
