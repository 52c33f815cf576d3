/** How a mounted filesystem becomes a tar stream, and what GNU tar says when it has written one. */

/**
 * The command that writes the files below a directory to standard output.
 *
 * pax format keeps names of any bytes and length, large ids, nanoseconds, ACLs, extended attributes and SELinux
 * labels; `--sparse` stores holes as holes. There is no `--one-file-system`: only what was mounted is there, and
 * btrfs subvolumes, which look like other filesystems, belong to it. Records keep tar's own size: larger ones save a
 * few percent of CPU, but a tar that extracts stops reading before their padding, and the decompressor in front of it
 * dies of SIGPIPE, which looks like a failure under `pipefail`.
 */
export function tarCommand(directory: string): string[] {
  return [
    'tar',
    '--create',
    '--format=pax',
    '--numeric-owner',
    '--acls',
    '--selinux',
    '--xattrs',
    '--xattrs-include=*',
    '--sparse',
    '--totals',
    '--file=-',
    `--directory=${directory}`,
    '.',
  ];
}

/** The length of the stream in bytes by `--totals` (`Total bytes written: 30003200 (29MiB, 129GiB/s)`). */
export function readTarTotal(stderr: string): number | null {
  const found = /^Total bytes written: (\d+)/m.exec(stderr);
  return found ? Number(found[1]) : null;
}

/** A line of tar's that tells of a socket it left out: sockets mean nothing without the process that made them. */
export const tellsOfSocket = (line: string): boolean => line.endsWith(': socket ignored');

/**
 * A line that tells of a file that is not in the tar as it is on the disk: it cannot be opened, or read to its end, or
 * its attributes cannot. Names of members begin with `.`, as `tarCommand` asks for, but in warnings about attributes.
 */
export function troubleOf(line: string): { path: string; reason: string } | null {
  if (tellsOfSocket(line) || TELLS_OF_NO_ATTRIBUTES.test(line)) return null;
  const [, path, reason] = /^tar: (\.(?:\/.*?)?): (.+)$/.exec(line) ?? /^tar: (.+?): (Warning: .+)$/.exec(line) ?? [];
  return path === undefined || reason === undefined ? null : { path, reason };
}

/** Filesystems without extended attributes, such as FAT mounted by a helper, refuse to list them. */
const TELLS_OF_NO_ATTRIBUTES = /: Warning: Cannot \w+: Operation not supported$/;

/**
 * The command that makes files below a directory, from a tar on standard input. What they may be called and may be is
 * decided before they get here; tar, too, creates links to elsewhere last, and lets nothing be written through them.
 */
export const extractCommand = (directory: string): string[] => [
  'tar',
  '--extract',
  '--file=-',
  // Read at once, in blocks of 512 bytes.
  '--blocking-factor=512',
  '--numeric-owner',
  '--same-permissions',
  '--acls',
  '--selinux',
  '--xattrs',
  '--xattrs-include=*',
  '--delay-directory-restore',
  // Old times and those to come are restored like others.
  '--warning=no-timestamp',
  `--directory=${directory}`,
];
