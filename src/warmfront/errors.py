"""One error tree. Every leaf carries the HTTP status a server answers with, so mapping is mechanical.

WarmfrontError
|-- RequestError                what the caller sent
|   |-- InvalidRequest          400  malformed objective, path, header or body
|   |-- InvalidEvent            400  not a CloudEvent by the HTTP binding 1.0.2
|   |-- Unauthorized            401
|   |-- NotFound                404  unknown route or object
|   |-- UnknownTask             404  (422 in event mode: a Broker retries 404)
|   |-- MethodNotAllowed        405
|   |-- RequestTimeout          408  the client was too slow to send
|   |-- Conflict                409
|   |-- Gone                    410  a watch asked for changes that are no longer known
|   |-- BodyTooLarge            413
|   |-- UnsupportedMediaType    415
|   |-- Unprocessable           422  understood, but impossible to act on
|   |-- ObjectiveUnmet          422  no variant can meet the objective and the caller said `reject`
|   `-- HeadersTooLarge         431
|-- ServiceError                what happened here
|   |-- Overloaded              429 or 503, always with retry_after_s
|   |   `-- NoVariant           503  the task is known, but no variant of it can take the request now
|   |-- UpstreamFailed          502
|   `-- UpstreamTimeout         504
`-- SetupError                  what an operator must put right; the command line prints it on one line

A message names what was found, what was wanted and what to do.
"""


class WarmfrontError(Exception):
    """Base of all errors raised on purpose. `status` is the HTTP status to answer with."""

    status = 500
    title = "Internal error"

    @property
    def slug(self) -> str:
        """The class name in kebab case: the last part of the problem `type` and the metric label."""
        name = type(self).__name__
        return "".join(("-" if i and c.isupper() else "") + c.lower() for i, c in enumerate(name))


class RequestError(WarmfrontError):
    """The caller must change something before trying again."""

    status = 400


class InvalidRequest(RequestError):
    """A header, path, parameter or body breaks a rule."""

    status = 400
    title = "Invalid request"


class InvalidEvent(RequestError):
    """The message is not a CloudEvent; `faults` maps attribute to what is wrong, all at once."""

    status = 400
    title = "Invalid CloudEvent"

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in faults.items()))
        self.faults = faults


class Unauthorized(RequestError):
    """A bearer token is wanted and was absent or wrong."""

    status = 401
    title = "Unauthorized"


class NotFound(RequestError):
    """No such route or object."""

    status = 404
    title = "Not found"


class UnknownTask(RequestError):
    """No variant in the catalogue serves the task."""

    status = 404
    title = "Unknown task"


class MethodNotAllowed(RequestError):
    """The route exists, the method does not."""

    status = 405
    title = "Method not allowed"


class RequestTimeout(RequestError):
    """The client took too long to send its request."""

    status = 408
    title = "Request timeout"


class Conflict(RequestError):
    """The object changed or exists already."""

    status = 409
    title = "Conflict"


class Gone(RequestError):
    """The changes asked for are no longer known; list again."""

    status = 410
    title = "Gone"


class BodyTooLarge(RequestError):
    """The body exceeds the limit."""

    status = 413
    title = "Body too large"


class UnsupportedMediaType(RequestError):
    """The route does not take this content type."""

    status = 415
    title = "Unsupported media type"


class Unprocessable(RequestError):
    """Well-formed, but it cannot be acted on."""

    status = 422
    title = "Unprocessable"


class ObjectiveUnmet(RequestError):
    """No variant can meet deadline and floor, and the request asked to be rejected in that case."""

    status = 422
    title = "Objective cannot be met"


class HeadersTooLarge(RequestError):
    """Too many or too long header fields."""

    status = 431
    title = "Header fields too large"


class ServiceError(WarmfrontError):
    """Nothing the caller did wrong."""

    status = 503


class Overloaded(ServiceError):
    """A limit is reached; try again after `retry_after_s` seconds. Status 429 or 503."""

    status = 503
    title = "Overloaded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, status: int = 503) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.status = status


class NoVariant(Overloaded):
    """Every variant of the task is unavailable, was tried already or does not speak the caller's protocol."""

    title = "No variant available"


class UpstreamFailed(ServiceError):
    """The variant answered with an error or not at all, after its retry."""

    status = 502
    title = "Variant failed"


class UpstreamTimeout(ServiceError):
    """The variant did not answer within the transport timeout."""

    status = 504
    title = "Variant timed out"


class SetupError(WarmfrontError):
    """Something on this machine or cluster is missing or wrong; the message says what to do."""

    title = "Set-up error"
