"""OpenWhisk: the REST client, the manifest and its deployment, and the frame of every action."""

from __future__ import annotations
