"""The least file system that pyfuse3 lets one write: `python -m benchmarks.peers.bare_mount MOUNT READY`.

It checks nothing and keeps nothing but names and bytes, in memory. What it costs is the kernel, libfuse,
pyfuse3 and trio.
"""

import errno
import os
import stat
import sys

import pyfuse3
import trio


class BareOperations(pyfuse3.Operations):
    """One directory of files; attributes and names are not cached by the kernel, as in a store."""

    def __init__(self) -> None:
        super().__init__()
        self._inodes: dict[bytes, pyfuse3.InodeT] = {}
        self._contents: dict[pyfuse3.InodeT, bytes] = {}
        self._next = pyfuse3.ROOT_INODE + 1

    def _attributes(self, inode: pyfuse3.InodeT) -> pyfuse3.EntryAttributes:
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        entry.st_mode = (stat.S_IFDIR | 0o755) if inode == pyfuse3.ROOT_INODE else (stat.S_IFREG | 0o600)
        entry.st_size = len(self._contents.get(inode, b""))
        entry.st_nlink = 1
        entry.st_uid, entry.st_gid = os.getuid(), os.getgid()
        entry.attr_timeout = entry.entry_timeout = 0
        return entry

    def _find(self, name: bytes) -> pyfuse3.InodeT:
        found = self._inodes.get(name)
        if found is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return found

    async def getattr(
        self, inode: pyfuse3.InodeT, ctx: pyfuse3.RequestContext | None = None
    ) -> pyfuse3.EntryAttributes:
        return self._attributes(inode)

    async def lookup(
        self, parent_inode: pyfuse3.InodeT, name: pyfuse3.FileNameT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        return self._attributes(self._find(name))

    async def open(
        self, inode: pyfuse3.InodeT, flags: pyfuse3.FlagT, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.FileInfo:
        return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(inode), direct_io=True)

    async def create(
        self,
        parent_inode: pyfuse3.InodeT,
        name: pyfuse3.FileNameT,
        mode: pyfuse3.ModeT,
        flags: pyfuse3.FlagT,
        ctx: pyfuse3.RequestContext,
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        inode = pyfuse3.InodeT(self._next)
        self._next += 1
        self._inodes[name] = inode
        self._contents[inode] = b""
        return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(inode), direct_io=True), self._attributes(inode)

    async def read(self, fh: pyfuse3.FileHandleT, off: int, size: int) -> bytes:
        return self._contents[pyfuse3.InodeT(fh)][off : off + size]

    async def write(self, fh: pyfuse3.FileHandleT, off: int, buf: bytes) -> int:
        inode = pyfuse3.InodeT(fh)
        self._contents[inode] = self._contents[inode][:off] + buf
        return len(buf)

    async def unlink(
        self, parent_inode: pyfuse3.InodeT, name: pyfuse3.FileNameT, ctx: pyfuse3.RequestContext
    ) -> None:
        del self._contents[self._find(name)]
        del self._inodes[name]

    async def opendir(self, inode: pyfuse3.InodeT, ctx: pyfuse3.RequestContext) -> pyfuse3.FileHandleT:
        return pyfuse3.FileHandleT(inode)

    async def readdir(self, fh: pyfuse3.FileHandleT, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        names = list(self._inodes.items())
        for place, (name, inode) in enumerate(names[start_id:], start_id + 1):
            if not pyfuse3.readdir_reply(token, pyfuse3.FileNameT(name), self._attributes(inode), place):
                return


async def _serve(ready: int) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pyfuse3.main)
        os.write(ready, b"\n")
        os.close(ready)


def _main() -> None:
    pyfuse3.init(BareOperations(), sys.argv[1], {"fsname=bare", *pyfuse3.default_options})
    try:
        trio.run(_serve, int(sys.argv[2]))
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    _main()
