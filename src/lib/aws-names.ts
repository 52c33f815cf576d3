/** Patterns of names that AWS assigns. */

/** `eu-west-1`, `us-gov-east-1` */
export const REGION_PATTERN = /^[a-z]{2}(-[a-z]+)+-\d$/;

/** Ids from before 2016 have 8 digits. */
export const SNAPSHOT_ID_PATTERN = /^snap-(?:[0-9a-f]{8}|[0-9a-f]{17})$/;
export const VOLUME_ID_PATTERN = /^vol-(?:[0-9a-f]{8}|[0-9a-f]{17})$/;

/** Whether a volume id is the one that EC2 shows for snapshots that are copies. */
export const isCopyVolume = (volumeId: string | null): boolean => volumeId === 'vol-ffffffff';
