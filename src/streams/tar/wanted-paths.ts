/** The selected members. Names are bytes in Latin-1, without `.` and `..`. */
export class WantedPaths {
  readonly #paths: readonly string[] | null;
  /** The selected paths for which something was found. */
  readonly matched = new Set<string>();

  /** @param paths `null` selects everything. */
  constructor(paths: readonly string[] | null) {
    this.#paths = paths;
  }

  get missing(): string[] {
    return (this.#paths ?? []).filter((path) => !this.matched.has(path));
  }

  /**
   * Whether a member is selected. Directories above a selected path are selected for their attributes, except for the
   * root, which is selected only together with everything.
   */
  has(name: string, isDirectory: boolean): boolean {
    if (!this.#paths) return true;
    let isWanted = false;
    for (const path of this.#paths) {
      if (name === path || name.startsWith(`${path}/`)) {
        this.matched.add(path);
        isWanted = true;
      } else if (isDirectory && name !== '' && path.startsWith(`${name}/`)) isWanted = true;
    }
    return isWanted;
  }
}
