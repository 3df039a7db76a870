"""The decorator of every action: decode the arguments, call the library once, encode the answer."""

from whisktrain.openwhisk.action.arguments import required
from whisktrain.openwhisk.action.decorator import Context, action

__all__ = ["Context", "action", "required"]
