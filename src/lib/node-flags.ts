/** What Node is started with, as in the first line of the program, which says why (a test compares them). */
export const NODE_FLAGS = ['--max-semi-space-size=1'] as const;
