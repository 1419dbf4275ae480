"""Raw: the body is the model's input, its content type says of what kind, and the reply's body is the output."""

from warmfront.protocols.protocol import INFER, Errors, Protocol

RAW = Protocol(name="raw", paths={INFER: "/"}, content_type="any", readiness="/readyz", errors=Errors.PROBLEM)
