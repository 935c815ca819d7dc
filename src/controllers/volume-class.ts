const OLD_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** The storage class of a claim or a volume, empty for none; the annotation is from before the field. */
export function classOf({
  metadata,
  spec,
}: {
  metadata: { annotations?: Record<string, string> };
  spec?: { storageClassName?: string | undefined } | undefined;
}): string {
  return metadata.annotations?.[OLD_CLASS] ?? spec?.storageClassName ?? '';
}
