"""The one long-running process: follows the store's changes and fires the trigger; `python aggregator/follower.py`."""

from __future__ import annotations

from whisktrain.openwhisk.follower_service import main

if __name__ == "__main__":
    main()
