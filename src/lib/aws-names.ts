/** Patterns of names that AWS assigns. */

/** `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1` */
export const REGION_PATTERN = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;

/** A snapshot or volume id of any length, as the source of a pattern. It finds ids in longer names, such as keys. */
export const ANY_SNAPSHOT_ID = 'snap-[0-9a-f]+';
export const ANY_VOLUME_ID = 'vol-[0-9a-f]+';

/** For ids that users specify. Ids from before 2016 have 8 digits. */
export const SNAPSHOT_ID_PATTERN = /^snap-(?:[0-9a-f]{8}|[0-9a-f]{17})$/;
export const VOLUME_ID_PATTERN = /^vol-(?:[0-9a-f]{8}|[0-9a-f]{17})$/;

/** Whether a volume id is the one that EC2 shows for snapshots that are copies. */
export const isCopyVolume = (volumeId: string | null): boolean => volumeId === 'vol-ffffffff';
