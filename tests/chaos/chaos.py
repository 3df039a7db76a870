"""The chaos driver: `make chaos N=5000`, and to replay one schedule, `make chaos SEED=17`.

A schedule is drawn from its seed: a story of a user (training, stopping, resuming, deleting, using a key again), and what
happens meanwhile: kills and zombies at the protocol's steps, activations started twice, lost requests and answers, a full
disk; in one of twenty, real processes that are killed at random moments. Each schedule ends with the bytes of the undisturbed
run, or with one clear error, and leaves nothing behind: no documents, no files, no processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "rounds"))
sys.path.insert(0, str(Path(__file__).parent))

from schedules import draw
from stories import tell
from world import World, prepare, undisturbed

from whisktrain.store.sqlite import SqliteStore

_known: dict[str, bytes] = {}


def play(seed: int) -> list[str]:
    """Play one schedule.

    Returns:
        What happened, for a person.

    Raises:
        AssertionError: It did not end as it must.
    """
    schedule = draw(seed)
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)

        def calm() -> tuple[SqliteStore, Path]:
            place = folder / f"calm-{time.monotonic_ns()}"
            store = SqliteStore(place)
            store.ensure()
            return store, place

        for of in (1, 2):
            undisturbed(schedule, of, _known, calm)
        store = SqliteStore(folder / "store")
        store.ensure()
        prepare(store, schedule.shards)
        world = World(schedule, store, f"sqlite:{folder / 'store'}", folder)
        try:
            with world.running():
                keys = tell(world, lambda of: undisturbed(schedule, of, _known, calm))
                world.check_nothing_left(keys)
            world.check_activations()
            world.check_library()
            world.check_files(folder)
        except BaseException as error:
            error.add_note(f"{schedule}\nhappened: {world.steps.happened}")
            raise
        finally:
            store.close()
    return [schedule.story, *world.steps.happened]


def _report(seed: int) -> tuple[int, float, str]:
    began = time.monotonic()
    try:
        play(seed)
    except BaseException:
        return seed, time.monotonic() - began, traceback.format_exc()
    return seed, time.monotonic() - began, ""


def main() -> int:
    """Play schedules; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedules", type=int, default=60, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.schedules)
    failed, began = [], time.monotonic()
    with multiprocessing.get_context("spawn").Pool(
        min(given.jobs, len(seeds)), maxtasksperchild=100
    ) as pool:
        for done, (seed, seconds, error) in enumerate(pool.imap_unordered(_report, seeds), 1):
            if error:
                failed.append(seed)
                print(
                    f"{error}\nseed {seed} failed after {seconds:.1f} s; replay it: make chaos SEED={seed}",
                    flush=True,
                )
            if done % 20 == 0 or done == len(seeds):
                print(
                    f"{done} of {len(seeds)} schedules, {len(failed)} failed, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    for seed in sorted(failed):
        print(f"failed: make chaos SEED={seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
