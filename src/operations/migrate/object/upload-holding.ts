/** What an upload that could not be aborted is, and how to be rid of it. */
export const uploadHolding = (bucket: string, key: string, uploadId: string) => ({
  what: `unfinished upload of ${key}`,
  cleanupCommand: `aws s3api abort-multipart-upload --bucket '${bucket}' --key '${key}' --upload-id '${uploadId}'`,
});
