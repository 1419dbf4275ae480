"""The part of the Kubernetes API that `kn`, `kubectl` and the selector speak, over the store."""

from warmfront.runtime.apiserver.credentials import write_kubeconfig
from warmfront.runtime.apiserver.server import ApiServer

__all__ = ["ApiServer", "write_kubeconfig"]
