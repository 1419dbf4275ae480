"""SageMaker's container contract: `POST /invocations` with any body, `GET /ping`, one model per container.

What may live here: the names that AWS fixed. A client names the task in a header, or in the path that the AWS clients
use (`/endpoints/TASK/invocations`, so that an `endpoint_url` is all they need to be told).
Source: Amazon SageMaker developer guide, "Custom Inference Code with Hosting Services".
"""

from warmfront.protocols.protocol import INFER, Errors, Protocol

#: The model of a multi-model endpoint: the nearest thing to a task that the AWS clients can say.
TARGET_MODEL = b"x-amzn-sagemaker-target-model"

SAGEMAKER = Protocol(
    name="sagemaker", paths={INFER: "/invocations"}, content_type="any", readiness="/ping", errors=Errors.PROBLEM
)
