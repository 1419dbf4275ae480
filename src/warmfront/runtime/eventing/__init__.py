"""Brokers and Triggers of the embedded Knative: durable, filtered, retried, dead-lettered.

controller.py follows the API objects, broker.py takes events, journal.py keeps them, delivery.py brings them out;
filters.py, cesql, delivery_spec.py, answers.py, destinations.py, ttl.py and status.py are the rules, all pure.
"""

from warmfront.runtime.eventing.eventing import Eventing
from warmfront.runtime.eventing.journal import DeadLetter, Failure, read_dead_letters

__all__ = ["DeadLetter", "Eventing", "Failure", "read_dead_letters"]
