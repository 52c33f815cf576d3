/** Describes an upload for the case that it cannot be aborted, with the command that removes it. */
export const uploadHolding = (bucket: string, key: string, uploadId: string) => ({
  what: `unfinished upload of ${key}`,
  cleanupCommand: `aws s3api abort-multipart-upload --bucket '${bucket}' --key '${key}' --upload-id '${uploadId}'`,
});
