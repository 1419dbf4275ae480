"""A discrete-event simulation of variants on Knative, driving the very selector and autoscaler that run live."""
