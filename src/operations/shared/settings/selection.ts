/** Which snapshots a command works on. */

export type Selection =
  | { by: 'id'; ids: readonly string[] }
  /**
   * `most`: how many at the most, oldest first; `null` for all. `underWay`: the value that a run that was killed leaves
   * behind.
   */
  | { by: 'tag'; value: string; underWay: string; most: number | null };
