"""Scenarios on a real Knative, embedded or a cluster's, where dummy_model_fn plays the variants."""
