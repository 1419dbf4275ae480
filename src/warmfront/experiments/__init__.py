"""Workloads and what drives the Selector through them: on a virtual clock, or live on the embedded Knative."""
