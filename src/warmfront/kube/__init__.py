"""The Kubernetes side of the selector: an API client, manifests to domain records, the live catalogue.

What may live here: everything that knows what a Kubernetes or Knative object looks like from outside. What must not:
the embedded runtime that serves such objects (`runtime/`), and any decision.
"""
