/** Passages that the help of several commands shares. */

export const EXIT_STATUS_HELP = `
Exit status:
  0    all done
  1    failed; nothing was archived
  2    bad usage; nothing was touched
  3    some snapshots failed, others are done
  10   nothing to do, or not found
  11   another run holds the snapshot
  12   archive and snapshot differ
  13   objects are being thawed; run the same command again later
  130  interrupted; what was held has been given back
`;
