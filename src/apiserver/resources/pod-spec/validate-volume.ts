import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { configMapKey, dns1123Label, dns1123Subdomain } from '../../../api/names.ts';
import type { Volume } from '../../../api/types.ts';
import { checked, mustBeThere, oneOf, quantityNotNegative, repeated } from '../validation.ts';
import { validateFieldRef, validateResourceRef } from './validate-env.ts';

type Projected = NonNullable<Volume['projected']>;
type KeyToPath = { key: string; path: string; mode?: number | undefined };
type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

export function validateVolumes(volumes: readonly Volume[], path: string): FieldError[] {
  const out: FieldError[] = [];
  const doubles = repeated(volumes, (v) => v.name);
  for (const [index, volume] of volumes.entries()) {
    const at = `${path}[${index}]`;
    out.push(...validateSource(volume, at));
    if (!volume.name) out.push(required(`${at}.name`));
    else out.push(...checked(volume.name, dns1123Label, `${at}.name`));
    const double = doubles.get(index);
    if (double !== undefined) out.push(duplicate(`${at}.name`, double));
  }
  return out;
}

function validateSource(volume: Volume, path: string): FieldError[] {
  const { name: _name, ...sources } = volume;
  const [first, ...others] = Object.entries(sources)
    .filter(([, source]) => source !== undefined)
    .map(([kind]) => kind);
  if (first === undefined) return [required(path, 'must specify a volume type')];
  const out = others.map((kind) =>
    forbidden(`${path}.${kind}`, 'may not specify more than 1 volume type'),
  );
  const validate = SOURCES[first];
  return validate ? [...validate(volume, `${path}.${first}`), ...out] : out;
}

/** What each volume type asks for; types that are not here have no required field of their own. */
const SOURCES: Readonly<Record<string, (volume: Volume, path: string) => FieldError[]>> = {
  emptyDir: ({ emptyDir }, path) =>
    emptyDir?.sizeLimit === undefined
      ? []
      : quantityNotNegative(emptyDir.sizeLimit, `${path}.sizeLimit`).map(({ field }) =>
          forbidden(field, 'SizeLimit field must be a valid resource quantity'),
        ),
  hostPath: ({ hostPath }, path) => [
    ...mustBeThere(hostPath?.path, `${path}.path`),
    ...noWayUp(hostPath?.path ?? '', `${path}.path`),
    ...hostPathType(hostPath?.type ?? '', `${path}.type`),
  ],
  secret: ({ secret }, path) => [
    ...mustBeThere(secret?.secretName, `${path}.secretName`),
    ...mode(secret?.defaultMode, `${path}.defaultMode`),
    ...keysToPaths(secret?.items, `${path}.items`),
  ],
  configMap: ({ configMap }, path) => [
    ...mustBeThere(configMap?.name, `${path}.name`),
    ...mode(configMap?.defaultMode, `${path}.defaultMode`),
    ...keysToPaths(configMap?.items, `${path}.items`),
  ],
  persistentVolumeClaim: ({ persistentVolumeClaim: claim }, path) =>
    mustBeThere(claim?.claimName, `${path}.claimName`),
  downwardAPI: ({ downwardAPI }, path) => [
    ...mode(downwardAPI?.defaultMode, `${path}.defaultMode`),
    ...downwardItems(downwardAPI?.items, path),
  ],
  projected: ({ projected }, path) => (projected ? validateProjected(projected, path) : []),
  nfs: ({ nfs }, path) => [
    ...mustBeThere(nfs?.server, `${path}.server`),
    ...mustBeThere(nfs?.path, `${path}.path`),
    ...(nfs?.path && !nfs.path.startsWith('/')
      ? [invalid(`${path}.path`, nfs.path, 'must be an absolute path')]
      : []),
  ],
  csi: ({ csi }, path) => mustBeThere(csi?.driver, `${path}.driver`),
  iscsi: ({ iscsi }, path) => [
    ...mustBeThere(iscsi?.targetPortal, `${path}.targetPortal`),
    ...mustBeThere(iscsi?.iqn, `${path}.iqn`),
  ],
  ephemeral: ({ ephemeral }, path) =>
    mustBeThere(ephemeral?.volumeClaimTemplate, `${path}.volumeClaimTemplate`),
  image: ({ image }, path) => [
    ...mustBeThere(image?.reference, `${path}.reference`),
    ...oneOf(image?.pullPolicy, ['Always', 'IfNotPresent', 'Never'], `${path}.pullPolicy`),
  ],
};

const HOST_PATH_TYPES = [
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

function hostPathType(type: string, field: string): FieldError[] {
  return type === '' ? [] : oneOf(type, HOST_PATH_TYPES, field);
}

function noWayUp(path: string, field: string): FieldError[] {
  return path.split('/').includes('..') ? [invalid(field, path, "must not contain '..'")] : [];
}

function mode(value: number | undefined, field: string): FieldError[] {
  if (value === undefined || (value >= 0 && value <= 0o777)) return [];
  const detail = 'must be a number between 0 and 0777 (octal), both inclusive';
  return [invalid(field, value, detail)];
}

/** A path inside the volume: relative, and not out of it. */
function localPath(path: string, field: string): FieldError[] {
  if (path === '') return [required(field)];
  if (path.startsWith('/')) return [invalid(field, path, 'must be a relative path')];
  const out = noWayUp(path, field);
  if (path.startsWith('..') && out.length === 0) {
    out.push(invalid(field, path, "must not start with '..'"));
  }
  return out;
}

function keysToPaths(items: readonly KeyToPath[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item, index) => [
    ...mustBeThere(item.key, `${path}[${index}].key`),
    ...(item.key ? checked(item.key, configMapKey, `${path}[${index}].key`) : []),
    ...localPath(item.path, `${path}[${index}].path`),
    ...mode(item.mode, `${path}[${index}].mode`),
  ]);
}

const DOWNWARD_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

function downwardItems(items: readonly DownwardItem[] | undefined, path: string): FieldError[] {
  return (items ?? []).flatMap((item) => {
    const out = localPath(item.path, `${path}.path`);
    if (item.fieldRef) {
      out.push(...validateFieldRef(item.fieldRef, DOWNWARD_FIELDS, `${path}.fieldRef`));
      if (item.resourceFieldRef) {
        const detail = 'fieldRef and resourceFieldRef can not be specified simultaneously';
        out.push(invalid(path, 'resource', detail));
      }
    } else if (item.resourceFieldRef) {
      const ref = item.resourceFieldRef;
      if (!ref.containerName) out.push(required(`${path}.resourceFieldRef.containerName`));
      out.push(...validateResourceRef(ref, `${path}.resourceFieldRef`));
    } else {
      out.push(required(path, 'one of fieldRef and resourceFieldRef is required'));
    }
    return [...out, ...mode(item.mode, `${path}.mode`)];
  });
}

const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 2 ** 32;

function validateProjected(projected: Projected, path: string): FieldError[] {
  const out = mode(projected.defaultMode, `${path}.defaultMode`);
  const paths = new Set<string>();
  for (const [index, source] of (projected.sources ?? []).entries()) {
    const at = `${path}.sources[${index}]`;
    const [first, ...others] = Object.entries(source)
      .filter(([, value]) => value !== undefined)
      .map(([kind]) => kind);
    for (const kind of others) {
      out.push(forbidden(`${at}.${kind}`, 'may not specify more than 1 volume type'));
    }
    if (first === undefined) out.push(required(at, 'must specify a volume type'));
    else out.push(...validateProjection(source, `${at}.${first}`));
    for (const file of filesOf(source)) {
      if (paths.has(file)) {
        out.push(invalid(path, file, 'conflicting duplicate paths'));
      }
      paths.add(file);
    }
  }
  return out;
}

type Projection = NonNullable<Projected['sources']>[number];

function validateProjection(source: Projection, at: string): FieldError[] {
  const out: FieldError[] = [];
  const named = source.secret ?? source.configMap;
  if (named) {
    out.push(...mustBeThere(named.name, `${at}.name`));
    out.push(...keysToPaths(named.items, `${at}.items`));
  }
  if (source.downwardAPI) out.push(...downwardItems(source.downwardAPI.items, at));
  if (source.serviceAccountToken) out.push(...validateToken(source.serviceAccountToken, at));
  if (source.clusterTrustBundle) out.push(...validateBundle(source.clusterTrustBundle, at));
  return out;
}

function validateToken(
  token: NonNullable<Projection['serviceAccountToken']>,
  at: string,
): FieldError[] {
  const seconds = token.expirationSeconds ?? 0;
  const field = `${at}.expirationSeconds`;
  const out: FieldError[] = [];
  if (seconds < MIN_TOKEN_SECONDS) {
    out.push(invalid(field, seconds, 'may not specify a duration less than 10 minutes'));
  } else if (seconds > MAX_TOKEN_SECONDS) {
    out.push(invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds'));
  }
  return [...out, ...localPath(token.path, `${at}.path`)];
}

function validateBundle(
  bundle: NonNullable<Projection['clusterTrustBundle']>,
  at: string,
): FieldError[] {
  const out: FieldError[] = [];
  if (bundle.name && bundle.signerName) {
    out.push(invalid(at, bundle, 'only one of name and signerName may be used'));
  } else if (!bundle.name && !bundle.signerName) {
    out.push(required(at, 'either name or signerName must be specified'));
  } else if (bundle.name) out.push(...checked(bundle.name, dns1123Subdomain, `${at}.name`));
  return [...out, ...localPath(bundle.path, `${at}.path`)];
}

function filesOf(source: Projection): string[] {
  const items = source.secret?.items ?? source.configMap?.items ?? source.downwardAPI?.items ?? [];
  return [...items.map((item) => item.path), source.serviceAccountToken?.path ?? ''].filter(
    (path) => path !== '',
  );
}
