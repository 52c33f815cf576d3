/** The content of a filesystem according to its own tables, read from the device without a driver. */
export interface FilesystemSurvey {
  /** Why a tar would be incomplete and an image is kept instead; otherwise `null`. */
  obstacle: string | null;
  /** Number of names of files and directories; `null` if they were not or cannot be counted. */
  names: number | null;
}
