/** Sets and removes the tags of EC2 resources. Snapshots and volumes share these calls. */
import type { ResourceTags } from '../../ports.ts';
import { translateErrors } from '../errors.ts';
import { CreateTagsCommand, DeleteTagsCommand, type EC2Client } from '../sdk.ts';
import { toTagList } from './tag-list.ts';

/** The signal does not cut these calls short: the caller must learn whether the tags were changed. */
export const resourceTags = (client: EC2Client): ResourceTags => ({
  async setTags(resourceId, tags, { signal }) {
    const command = new CreateTagsCommand({ Resources: [resourceId], Tags: toTagList(tags) });
    await translateErrors(`tag ${resourceId}`, signal, () => client.send(command));
  },

  async removeTags(resourceId, keys, { signal }) {
    const command = new DeleteTagsCommand({ Resources: [resourceId], Tags: keys.map((Key) => ({ Key })) });
    await translateErrors(`untag ${resourceId}`, signal, () => client.send(command));
  },
});
