"""What the answer of an action's process means, or that it gave none."""

from __future__ import annotations

from openwhisk_local.activations.records import (
    APPLICATION_ERROR,
    DEVELOPER_ERROR,
    SUCCESS,
    WHISK_ERROR,
    Response,
)
from openwhisk_local.json_text import parse_json
from openwhisk_local.processes.pipes import Answer
from openwhisk_local.processes.process import Failure

NOT_PROVISIONED = "Failed to provision resources to run the action."
_QUOTED = 1024
_NO_OBJECT = "The action did not return a dictionary or array."
_OUT_OF_MEMORY = "The action exhausted its memory and was aborted."


def failed_to_start(failure: Failure, timeout_ms: int) -> Response:
    """The response of an activation whose process did not start."""
    match failure:
        case Failure.TIMED_OUT:
            message = f"The action exceeded its time limits of {timeout_ms} milliseconds during initialization."
            return Response.error(DEVELOPER_ERROR, message)
        case Failure.OUT_OF_MEMORY:
            return Response.error(DEVELOPER_ERROR, _OUT_OF_MEMORY)
        case Failure.NOT_STARTED:
            return Response.error(WHISK_ERROR, NOT_PROVISIONED)
        case Failure.NO_CODE:
            return _proxy_error("Missing main/no code to execute.")
        case Failure.NOT_COMPILED:
            return _proxy_error(
                "The action failed to generate or locate a binary. See logs for details."
            )
        case Failure.EXITED:
            return _proxy_error("Cannot start action. Check logs for details.")


def failed_to_answer(failure: Failure, timeout_ms: int) -> Response:
    """The response of an activation whose process gave no answer."""
    match failure:
        case Failure.TIMED_OUT:
            return Response.error(
                DEVELOPER_ERROR,
                f"The action exceeded its time limits of {timeout_ms} milliseconds.",
            )
        case Failure.OUT_OF_MEMORY:
            return Response.error(DEVELOPER_ERROR, _OUT_OF_MEMORY)
        case _:
            return _proxy_error("command exited")


def read_answer(answer: Answer, max_size: int) -> Response:
    """The response that a process's answer stands for.

    Args:
        answer: The line that it wrote.
        max_size: Bytes that it may have.
    """
    if answer.size > max_size:
        message = f"The action produced a response that exceeded the allowed length: {answer.size} > {max_size} bytes."
        message += f" The truncated response was: {answer.text[:_QUOTED]}"
        return Response.error(APPLICATION_ERROR, message, answer.size)
    size = len(answer.text.encode("utf-16-le", errors="surrogatepass")) // 2  # as Java counts
    try:
        result = parse_json(answer.text)
    except (ValueError, RecursionError):
        return _proxy_error(_NO_OBJECT)
    if result is None:
        message = f"The action did not produce a valid JSON or JSON Array response: {answer.text}"
        return Response.error(DEVELOPER_ERROR, message, size)
    if not isinstance(result, dict | list):
        return _proxy_error(_NO_OBJECT)
    if isinstance(result, dict) and "error" in result:
        return Response.error(APPLICATION_ERROR, result["error"], size)
    return Response(SUCCESS, result, size)


def _proxy_error(message: str) -> Response:
    """A developer error in the words of the HTTP proxy of OpenWhisk's containers; the size is that of its JSON line."""
    return Response.error(DEVELOPER_ERROR, message, len(message) + len('{"error":""}\n'))
