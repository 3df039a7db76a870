"""What the host says about itself at `/` and `/api/v1`."""

from __future__ import annotations

from openwhisk_local.jsontypes import JsonObject
from openwhisk_local.limits import Limits
from openwhisk_local.rest.exec_body import DEFAULT_KIND
from openwhisk_local.version import __version__


def about_platform(limits: Limits) -> JsonObject:
    """The answer to `GET /`: limits and kinds."""
    kind: JsonObject = {
        "kind": DEFAULT_KIND,
        "image": "openwhisk_local",
        "deprecated": False,
        "default": True,
        "attached": True,
        "requireMain": False,
    }
    return {
        "description": "OpenWhisk",
        "support": {
            "github": "https://github.com/apache/openwhisk/issues",
            "slack": "http://slack.openwhisk.org",
        },
        "api_paths": ["/api/v1"],
        "limits": limits.of_the_platform(),
        "runtimes": {"python": [kind]},
    }


def about_api() -> JsonObject:
    """The answer to `GET /api/v1`: the versions."""
    return {
        "description": "OpenWhisk API",
        "api_version": "1.0.0",
        "api_version_path": "v1",
        "build": "openwhisk_local",
        "buildno": __version__,
        "swagger_paths": {"ui": "/docs", "api-docs": "/api-docs"},
    }
