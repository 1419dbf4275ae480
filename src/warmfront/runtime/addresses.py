"""Where things are reached: the one place that writes and reads the embedded Knative's host names.

All hosts end in `.localhost`, which RFC 6761 gives to the loopback interface; one ingress port serves them
all and tells them apart by the Host header.
"""

from dataclasses import dataclass

BROKER_HOST = "broker-ingress.knative-eventing.localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Builds URLs for one ingress port, and reads a Host header back."""

    port: int

    def service(self, namespace: str, name: str) -> str:
        """The URL of a Service or Route, the same inside and outside."""
        return f"http://{name}.{namespace}.localhost:{self.port}"

    def tagged(self, namespace: str, name: str, tag: str) -> str:
        """The URL of one traffic tag of a Service, after Knative's tag template `{{.Tag}}-{{.Name}}`."""
        return self.service(namespace, f"{tag}-{name}")

    def broker(self, namespace: str, name: str) -> str:
        """The URL that takes events for a Broker."""
        return f"http://{BROKER_HOST}:{self.port}/{namespace}/{name}"


def parse_host(host: str) -> tuple[str, str] | None:
    """(namespace, name) of `NAME.NAMESPACE.localhost[:port]`; None for any other host."""
    parts = host.rsplit(":", 1)[0].lower().rstrip(".").split(".")
    if len(parts) != 3 or parts[2] != "localhost":
        return None
    return parts[1], parts[0]
