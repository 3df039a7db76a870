"""FOLLOWER: the one long-running process. It follows the feed and fires the trigger for runs that need an aggregate."""

from whisktrain.rounds.follower.following import Fire, Follower, FollowerStatus

__all__ = ["Fire", "Follower", "FollowerStatus"]
