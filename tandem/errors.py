"""Every error that Tandem raises on purpose.

An error carries a sentence for a person, a stable `code` for a program, and the HTTP status the
gateway answers with. What derives from `UserError` is the user's mistake and is shown without a
traceback; everything else is ours.
"""

from typing import Any


class TandemError(Exception):
    """The root: `message` is one or more sentences, `details` holds values for machines."""

    code: str = "internal_error"
    status: int = 500

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return self.message


class UserError(TandemError):
    """The user's mistake, in general: the input cannot be used as it is."""

    code = "invalid_request"
    status = 400


class ConfigError(UserError):
    """Something in `tandem.yaml`, in an option or in the environment."""

    code = "invalid_config"


class NotFound(UserError):
    """A named thing (domain, document, model, adapter) does not exist."""

    code = "not_found"
    status = 404


class Conflict(UserError):
    """The request is sound, but not in the state things are in now."""

    code = "conflict"
    status = 409


class Unauthorized(UserError):
    """No key, or a wrong one."""

    code = "invalid_api_key"
    status = 401


class Forbidden(UserError):
    """A valid key that may not do this."""

    code = "forbidden"
    status = 403


class TooLarge(UserError):
    """A body or a file above its limit."""

    code = "too_large"
    status = 413


class ContextTooLong(UserError):
    """Prompt and answer together do not fit the base model's context."""

    code = "context_length_exceeded"


class Unavailable(TandemError):
    """A part is down, starting or full; the same request may succeed after the wait."""

    code = "unavailable"
    status = 503

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float = 1.0,
        code: str | None = None,
        status: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, code=code, status=status, **details)
        self.retry_after_seconds = retry_after_seconds
