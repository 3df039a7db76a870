"""OpenWhisk's REST API: calls, connections, activation records."""

from whisktrain.openwhisk.client.activation import Activation, activation_of, failure_of
from whisktrain.openwhisk.client.connection import ApiError
from whisktrain.openwhisk.client.rest import Client

__all__ = ["Activation", "ApiError", "Client", "activation_of", "failure_of"]
