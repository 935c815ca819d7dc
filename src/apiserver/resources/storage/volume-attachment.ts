import { VOLUME_ATTACHMENTS } from '../../../api/system-resource-types.ts';
import type { VolumeAttachment } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN, withStatus } from '../kind.ts';
import { validateAttachment, validateAttachmentUpdate } from './validation.ts';

export const volumeAttachmentKind = defineKind<VolumeAttachment>({
  type: VOLUME_ATTACHMENTS,
  ...withStatus<VolumeAttachment>({
    statusAlone: true,
    prepareForCreate(attachment) {
      attachment.status = { attached: false };
    },
    validate: validateAttachment,
    validateUpdate: validateAttachmentUpdate,
  }),
  columns: [
    NAME_COLUMN,
    column('Attacher', 'Driver that attaches the volume.', { format: 'name' }),
    column('PV', 'Volume that is attached.'),
    column('Node', 'Node that it is attached to.'),
    column('Attached', 'Whether it is attached.', { type: 'boolean' }),
    AGE_COLUMN,
  ],
  row: ({ metadata, spec, status }, now) => [
    metadata.name,
    spec.attacher,
    spec.source.persistentVolumeName ?? '',
    spec.nodeName,
    status?.attached ?? false,
    age(metadata.creationTimestamp, now),
  ],
});
