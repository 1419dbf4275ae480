"""Knative's pod autoscaler (KPA of Serving 1.23) as plain arithmetic on a clock that is handed in.

The embedded runtime and the simulator drive the same object, so what one measures the other predicts. One Autoscaler
serves one revision; times are seconds on any clock that never goes back, the same one in every call.

    spec = ScalingSpec.from_annotations(annotations, container_concurrency=4)
    autoscaler = Autoscaler(spec, now=now)
    autoscaler.record(now, concurrency=0.4, rps=2.0)   every second, zeros too; True means: decide at once (a poke)
    result = autoscaler.decide(now, ready)             every TICK_S, and when poked
    scale = autoscaler.next_scale(now, ready)          after each decision, when `ready` changes, and at scale.again_at
    autoscaler.reconfigure(spec, now)                  when annotations change

`decide` is the decider: how many replicas the load asks for. `next_scale` is the reconciler around it: bounds, initial
scale, and the slow way down to zero (active, inactive, none). `scale.replicas` is how many replicas there are to be.

    spec.py        ScalingSpec: annotations, their bounds, what follows from them
    window.py      averages over one-second buckets
    autoscaler.py  stable and panic decisions
    target.py      from decisions to replicas
"""

from warmfront.autoscaling.autoscaler import TICK_S, Autoscaler, ScaleResult
from warmfront.autoscaling.spec import ScalingSpec
from warmfront.autoscaling.target import Activity, Scale
from warmfront.autoscaling.window import Window

__all__ = ["TICK_S", "Activity", "Autoscaler", "Scale", "ScaleResult", "ScalingSpec", "Window"]
