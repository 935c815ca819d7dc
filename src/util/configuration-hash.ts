import { createHash } from 'node:crypto';

/** How metrics tell one text of a configuration from another. */
export function configurationHash(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
