"""Errors a client can act on: an HTTP status, a code for programs, a sentence for people."""

from duplex_agent.errors import DuplexError


class ApiError(DuplexError):
    """Answered as ``{"error": {"type", "code", "message"}}`` with ``status``."""

    def __init__(self, status: int, code: str, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON body."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"type": kind, "code": self.code, "message": str(self)}}

    def headers(self) -> dict[str, str]:
        """Retry-After when it makes sense to come back."""
        return {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
