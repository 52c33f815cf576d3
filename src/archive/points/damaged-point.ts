import { SnapError } from '../../errors.ts';

/** The error for a map or a block list that is damaged, missing, or of another point. */
export const damagedPoint = (key: string, why: string, cause?: unknown): SnapError =>
  new SnapError('DIFFERS', `${key}: ${why}`, {
    hint: 'look for an earlier version of this object in the bucket; points that do not need it are intact; while the snapshot exists, archive it again under another --prefix',
    ...(cause === undefined ? {} : { cause }),
  });
