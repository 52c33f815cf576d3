"""
Compares the bytes of two files like `cmp`, but without reading holes. For an image of a GiB with a few MiB of data, `cmp`
takes seconds, mostly because the kernel fills memory with zeros.

    same-bytes.py ONE OTHER [SKIP [BYTES]]     ONE may be -, for a pipe; SKIP bytes of OTHER are skipped
"""
import os
import sys

PIECE = 1 << 20
ZEROS = bytes(PIECE)


class File:
    def __init__(self, path, skip):
        self.fd = os.open(path, os.O_RDONLY)
        self.skip = skip
        self.size = os.fstat(self.fd).st_size - skip
        self.next_data = 0

    def piece(self, at, length):
        """Returns fewer bytes if the file ends before."""
        length = min(length, self.size - at)
        if self.next_data < at + length:
            self.next_data = max(self.next_data, self.data_from(at))
        if self.next_data >= at + length:
            return ZEROS if length == PIECE else bytes(length)
        return os.pread(self.fd, length, at + self.skip)

    def data_from(self, at):
        try:
            return os.lseek(self.fd, at + self.skip, os.SEEK_DATA) - self.skip
        except OSError:
            return self.size


class Pipe:
    def __init__(self):
        self.buffer = bytearray(PIECE)
        self.view = memoryview(self.buffer)

    def piece(self, _at, length):
        have = 0
        while have < length:
            count = os.readv(0, [self.view[have:length]])
            if count == 0:
                break
            have += count
        return self.buffer if have == PIECE else bytes(self.view[:have])


def main(one, other, skip=0, limit=None):
    first = Pipe() if one == "-" else File(one, 0)
    second = File(other, int(skip))
    limit = None if limit is None else int(limit)
    at = 0
    while limit is None or at < limit:
        wanted = PIECE if limit is None else min(PIECE, limit - at)
        here, there = first.piece(at, wanted), second.piece(at, wanted)
        if here != there:
            pairs = enumerate(zip(here, there))
            where = next((index for index, (a, b) in pairs if a != b), min(len(here), len(there)))
            sys.exit(f"{one} and {other} differ at byte {at + where}")
        if not here:
            return
        at += len(here)


main(*sys.argv[1:])
