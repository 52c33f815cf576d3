/** The Node options of the program. A test compares them with its first line, where the reasons are given. */
export const NODE_FLAGS = ['--max-semi-space-size=1'] as const;
