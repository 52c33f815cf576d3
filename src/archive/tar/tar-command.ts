/** The commands of GNU tar for archiving and restoring, and the messages that it writes. */

/**
 * Returns the command that archives the files below a directory to standard output.
 *
 * The pax format keeps names of any bytes and length, large ids, nanoseconds, ACLs, extended attributes and SELinux
 * labels. `--sparse` keeps holes. `--xattrs-include` stores ACLs by number. `--acls` adds them as text, with the names of
 * this machine, although `--numeric-owner` is given: a tar that extracts with `--acls` needs this text, and would
 * otherwise replace each ACL by the mode. `--one-file-system` is not used, because btrfs subvolumes look like other filesystems
 * but belong to the archive, and nothing else is mounted there. The record size stays at its default: larger records
 * save a few percent of CPU, but an extracting tar would stop reading before their padding, and the decompressor before
 * it would die of SIGPIPE, which counts as a failure with `pipefail`.
 */
export const tarCommand = (directory: string): string[] => [...createCommand(directory), '.'];

const createCommand = (directory: string): string[] => [
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
];

/** Files with the names to archive, each of which begins with `./` and ends with a byte of zero. */
export interface NameLists {
  /** Directories without what is in them. */
  above: string;
  /** Files, and directories with everything below them. */
  wanted: string;
}

/** Returns the command that archives some files below a directory in the same way. */
export const tarCommandFor = (directory: string, { above, wanted }: NameLists): string[] => [
  ...createCommand(directory),
  ...['--null', '--verbatim-files-from'],
  ...['--no-recursion', `--files-from=${above}`],
  ...['--recursion', `--files-from=${wanted}`],
];

/** Returns the length of the stream in bytes from `Total bytes written: 30003200 (29MiB, 129GiB/s)`. */
export function readTarTotal(stderr: string): number | null {
  const found = /^Total bytes written: (\d+)/m.exec(stderr);
  return found ? Number(found[1]) : null;
}

/** Whether a line reports a skipped socket. Sockets are useless without the process that created them. */
export const isSocketLine = (line: string): boolean => line.endsWith(': socket ignored');

/**
 * Parses a line about a file that tar could not archive completely: it, or its attributes, cannot be opened or read to
 * the end. Except in warnings about attributes, member names start with `.`, the argument of `tarCommand`.
 */
export function unreadableFile(line: string): { path: string; reason: string } | null {
  if (isSocketLine(line) || NO_ATTRIBUTE_SUPPORT.test(line)) return null;
  const [, path, reason] = /^tar: (\.(?:\/.*?)?): (.+)$/.exec(line) ?? /^tar: (.+?): (Warning: .+)$/.exec(line) ?? [];
  return path === undefined || reason === undefined ? null : { path, reason };
}

/** Filesystems without extended attributes, such as FAT mounted by a helper, refuse to list them. */
const NO_ATTRIBUTE_SUPPORT = /: Warning: Cannot \w+: Operation not supported$/;

/**
 * Returns the command that extracts a tar on standard input to a directory. Names and types have been checked before.
 * In addition, tar creates links to other places last and does not write through them. `--acls` keeps the default ACL of
 * the directory from applying to the files; `encodeMember` writes the texts of ACLs by number.
 */
export const extractCommand = (directory: string): string[] => [
  'tar',
  '--extract',
  '--file=-',
  // Record size in blocks of 512 bytes.
  '--blocking-factor=512',
  '--numeric-owner',
  '--same-permissions',
  '--acls',
  '--selinux',
  '--xattrs',
  '--xattrs-include=*',
  '--delay-directory-restore',
  // Suppresses warnings about very old and future times.
  '--warning=no-timestamp',
  `--directory=${directory}`,
];
