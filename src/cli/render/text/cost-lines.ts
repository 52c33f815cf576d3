/** Events of `analyze` as lines of text. */
import { ratioText } from '../../../costs/compression.ts';
import type { SnapEvent } from '../../../events.ts';
import { count, formatDollars, formatDuration } from '../../../lib/units.ts';

type CostEvent = Extract<SnapEvent, { code: 'report.read' | 'ratio.measured' | 'region.described' | 'live.planned' }>;

export function describeCosts(event: CostEvent): string {
  switch (event.code) {
    case 'report.read': {
      const { name, format, granularity, rows, ofSnapshots, broken, unclear, seconds } = event;
      const bad = broken === 0 ? '' : `, ${broken} MALFORMED`;
      const doubtful = unclear === 0 ? '' : `, ${unclear} NOT UNDERSTOOD`;
      const counts = `${rows} rows, ${ofSnapshots} about snapshots${bad}${doubtful}`;
      return `${name}: ${format}, ${granularity}: ${counts}, in ${formatDuration(seconds)}`;
    }
    case 'ratio.measured': {
      const { bucket, prefix, compression, archives, leftOut } = event;
      const others = leftOut === 0 ? '' : `, ${leftOut} cannot be measured`;
      return `s3://${bucket}/${prefix}: ${ratioText(compression)}, measured on ${count(archives, 'archive')}${others}`;
    }
    case 'region.described': {
      const { region, snapshots, volumes, images } = event;
      return `${region}: EC2 lists ${count(snapshots, 'snapshot')}, ${count(volumes, 'volume')}, ${count(images, 'image')}`;
    }
    case 'live.planned': {
      const { region, snapshots, requests, dollars } = event;
      const cost = `at most ${count(requests, 'request')}, ${formatDollars(dollars)}`;
      return `${region}: comparing ${count(snapshots, 'snapshot')} through the EBS direct APIs (${cost})`;
    }
  }
}
