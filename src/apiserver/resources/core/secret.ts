import { SECRETS } from '../../../api/resource-types.ts';
import type { Secret } from '../../../api/types.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateSecret, validateSecretUpdate } from './small-validation.ts';

/** stringData is for writers only: it ends up, encoded, in data. */
function foldStringData(secret: Secret): void {
  if (!secret.stringData) return;
  const data = { ...secret.data };
  for (const [key, text] of Object.entries(secret.stringData)) {
    data[key] = Buffer.from(text, 'utf8').toString('base64');
  }
  secret.data = data;
  delete secret.stringData;
}

export const secretKind = defineKind<Secret>({
  type: SECRETS,
  strategy: {
    default(secret) {
      foldStringData(secret);
      secret.type ||= 'Opaque';
    },
    prepareForUpdate(secret, old) {
      // Clients that do not know the type leave it out and mean the stored one.
      secret.type ||= old.type;
    },
    validate: validateSecret,
    validateUpdate: validateSecretUpdate,
  },
  columns: [
    NAME_COLUMN,
    column('Type', 'What kind of secret it is.'),
    column('Data', 'How many keys it holds.'),
    AGE_COLUMN,
  ],
  row: ({ metadata, type, data }, now) => [
    metadata.name,
    type ?? '',
    Object.keys(data ?? {}).length,
    age(metadata.creationTimestamp, now),
  ],
  fieldsOf: (secret) => ({ type: secret.type ?? '' }),
});
