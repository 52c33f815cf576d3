/** What an archive does not keep of a disk, as it is told and noted. */
export interface NotKept {
  what: string;
  /** Of how many files or directories; `null` where all of them have it, or it is the filesystem's own. */
  count: number | null;
}
