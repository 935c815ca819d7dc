import { errorMessage } from '../../util/errors.ts';

/** A volume as it stands on the node, ready to be mounted into containers. */
export interface MountedVolume {
  readonly hostPath: string;
  readonly readOnly: boolean;
  /** `hostPath` is a block device, for `volumeDevices`. */
  readonly isDevice?: boolean | undefined;
  /** An image, which is pulled for the containers that mount it; `hostPath` is empty until then. */
  readonly image?: { reference: string; pullPolicy?: string | undefined } | undefined;
}

/** A volume could not be made ready. The message is the FailedMount event's. */
export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  /** As the pod calls it. */
  readonly volume: string;

  constructor(volume: string, message: string) {
    super(message);
    this.volume = volume;
  }
}

/** `shown` is the volume's name in the message: that of the PersistentVolume behind it, if there is one. */
export function setUpFailed(volume: string, cause: unknown, shown = volume): VolumeError {
  if (cause instanceof VolumeError) return cause;
  const message = `MountVolume.SetUp failed for volume "${shown}" : ${errorMessage(cause)}`;
  return new VolumeError(volume, message);
}
