/** The snapshots that a command processes. */

export type Selection =
  | { by: 'id'; ids: readonly string[] }
  /**
   * Snapshots whose state tag has `value`, or `inProgress` and a claim: a run that was killed leaves `inProgress` behind.
   * `limit`: maximum number of snapshots, oldest first; `null` for all.
   */
  | { by: 'tag'; value: string; inProgress: string; limit: number | null };
