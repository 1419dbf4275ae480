"""Embedded Knative: control plane and data plane of one machine, on 127.0.0.1."""
