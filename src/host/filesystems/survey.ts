/** What a filesystem has according to its own tables, read from the device without a driver. */
export interface FilesystemSurvey {
  /** Why the files alone would not be all that is there, so that an image is kept; else `null`. */
  obstacle: string | null;
  /** Names of files and directories; `null` where they were not, or cannot be, counted. */
  names: number | null;
}
