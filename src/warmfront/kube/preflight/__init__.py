"""What must hold before and while Warmfront runs on a cluster: facts are gathered, findings follow from them.

`gather.py` and `network.py` ask, `facts.py` is what they learn, `checks.py` and `reach.py` judge that, purely.
"""

from warmfront.kube.preflight.checks import findings
from warmfront.kube.preflight.facts import Facts, Finding, Program, Status
from warmfront.kube.preflight.gather import gather

__all__ = ["Facts", "Finding", "Program", "Status", "findings", "gather"]
