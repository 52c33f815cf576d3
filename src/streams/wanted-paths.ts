/** Which members were asked for. Names are bytes as Latin-1, without `.` and `..`. */
export class WantedPaths {
  readonly #paths: readonly string[] | null;
  /** Of the paths that are wanted, those that something was found for. */
  readonly matched = new Set<string>();

  /** @param paths `null` for everything. */
  constructor(paths: readonly string[] | null) {
    this.#paths = paths;
  }

  get missing(): string[] {
    return (this.#paths ?? []).filter((path) => !this.matched.has(path));
  }

  /** The directories above keep their attributes; the root has its own only where everything is wanted. */
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
