"""Which file systems the embedded store refuses: SQLite's write-ahead log needs memory shared by all its processes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from whisktrain.errors import ConfigurationError

__all__ = ["check_local", "filesystem_of"]

NETWORK = frozenset(
    {
        "9p",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "drvfs",
        "fuse.beegfs",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.juicefs",
        "fuse.lizardfs",
        "fuse.moosefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.seaweedfs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "macfuse_sshfs",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "osxfuse_sshfs",
        "pvfs2",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "sshfs",
        "webdav",
    }
)


def filesystem_of(path: PurePath, mounts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The mount that holds an absolute path.

    Args:
        path: An absolute path without symbolic links.
        mounts: Pairs of mount point and file system, in the order in which they were mounted.

    Returns:
        Mount point and file system of the deepest mount, the last one mounted where several share a point; empty texts
        where none fits.
    """
    found = ("", "")
    for point, kind in mounts:
        inside = path == PurePath(point) or PurePath(point) in path.parents
        if inside and len(PurePath(point).parts) >= len(PurePath(found[0]).parts):
            found = (point, kind)
    return found


def check_local(path: Path) -> None:
    """Refuse a network file system.

    Raises:
        ConfigurationError: `path` lies, or would lie, on one.
    """
    import psutil

    mounts = [(part.mountpoint, part.fstype.lower()) for part in psutil.disk_partitions(all=True)]
    point, kind = filesystem_of(path.resolve(), mounts)
    if kind in NETWORK:
        raise ConfigurationError(
            f"The embedded store's directory {path} is on the network file system {kind} (mounted at {point}); "
            "SQLite needs a local disk.",
            code="network_filesystem",
            hint="Choose a directory on a local disk with --home or --store sqlite:PATH, or use CouchDB.",
        )
