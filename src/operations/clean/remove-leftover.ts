/** Removes one leftover. */
import { releaseLeftoverVolume } from '../../host/volumes/release-volume.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import type { Leftover, Survey } from '../leftovers/leftover.ts';
import type { CleanSettings } from '../shared/settings/clean.ts';
import { freeState } from '../sharing/state-tag.ts';

/** The context of a search whose findings may be removed. */
export interface CleanSurvey extends Survey {
  settings: CleanSettings;
}

/** Call it only while holding the claim of the snapshot, which is itself released at the end. */
export async function removeLeftover({ subject }: Leftover, survey: CleanSurvey): Promise<void> {
  const { settings, services, instanceId } = survey;
  const { store, volumes, host } = services;
  const call = { signal: cleanupSignal() };
  switch (subject.kind) {
    case 'volume': {
      const instance = { id: instanceId ?? '' };
      const options = { ...settings, volumes, host, instance, keep: false, isUsedByOther: async () => false };
      return releaseLeftoverVolume(subject.volume, options);
    }
    case 'upload': {
      const { key, uploadId } = subject.upload;
      return store.object({ key, metadata: {}, tags: {} }).abort(uploadId, call);
    }
    case 'object':
      return store.removeIf(subject.object.key, subject.object.etag, call);
    case 'tag':
      return freeState(subject.snapshot, settings.tagKey, subject.before, services, call.signal);
    default:
  }
}
