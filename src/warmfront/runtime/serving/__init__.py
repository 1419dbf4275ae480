"""Knative Serving's controllers: a Service becomes Configuration, Revisions, PodAutoscalers and a Route."""

from warmfront.runtime.serving.controller import ServingController

__all__ = ["ServingController"]
