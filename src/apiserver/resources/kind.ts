import type { FieldError } from '../../api/field-errors.ts';
import type { ResourceType } from '../../api/resource-types.ts';
import type { KubeObject } from '../../api/types.ts';
import type {
  Cell,
  Column,
  ConnectSubresource,
  ResourceKind,
  RowCondition,
  ScaleSubresource,
  Strategy,
  Subresource,
  ViewSubresource,
} from '../resource-kind.ts';
import { keepAllButStatus, keepAllButStatusAlone, keepStatus, withoutStatus } from './status.ts';

export const ALL_VERBS = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const;

/** What a kind's file says; `defineKind` fills in what most kinds have in common. */
export interface KindSpec<T> {
  readonly type: ResourceType<T>;
  /** The Go package of the type in the OpenAPI document: `io.k8s.api.core`. Default: `io.k8s.api.` + first word of the group. */
  readonly package?: string;
  readonly singular?: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly verbs?: readonly string[];
  readonly storagePrefix?: string;
  readonly storedAs?: ResourceKind['storedAs'];
  /** Kinds whose generation counts changes say `generationFields`; the others have none. */
  readonly strategy?: Strategy<T>;
  readonly subresources?: Readonly<Record<string, Subresource>>;
  readonly columns?: readonly Column[];
  row?(object: T, now: number): Cell[];
  rowConditions?(object: T): RowCondition[];
  fieldsOf?(object: T): Readonly<Record<string, string>>;
  readonly virtual?: true;
  readonly ttlSeconds?: number;
}

export function defineKind<T>(spec: KindSpec<T>): ResourceKind {
  const { type } = spec;
  const table: TablePart<T> =
    spec.columns && spec.row ? { columns: spec.columns, row: spec.row } : DEFAULT_TABLE;
  const declared: ResourceKind = {
    group: type.group,
    version: type.version,
    resource: type.resource,
    kind: type.kind,
    namespaced: type.namespaced,
    singular: spec.singular ?? type.kind.toLowerCase(),
    shortNames: spec.shortNames ?? [],
    categories: spec.categories ?? [],
    verbs: spec.verbs ?? ALL_VERBS,
    definition: `${spec.package ?? packageOf(type.group)}.${type.version}.${type.kind}`,
    storagePrefix: spec.storagePrefix ?? type.resource,
    strategy: { generationFields: [], ...spec.strategy } as Strategy,
    subresources: spec.subresources ?? {},
    columns: table.columns,
    row: table.row as ResourceKind['row'],
  };
  return {
    ...declared,
    ...(spec.storedAs ? { storedAs: spec.storedAs } : {}),
    ...(spec.fieldsOf ? { fieldsOf: spec.fieldsOf as NonNullable<ResourceKind['fieldsOf']> } : {}),
    ...(spec.rowConditions
      ? { rowConditions: spec.rowConditions as NonNullable<ResourceKind['rowConditions']> }
      : {}),
    ...(spec.virtual ? { virtual: true } : {}),
    ...(spec.ttlSeconds === undefined ? {} : { ttlSeconds: spec.ttlSeconds }),
  };
}

/** `io.k8s.api.rbac` for `rbac.authorization.k8s.io`. */
function packageOf(group: string): string {
  return `io.k8s.api.${group === '' ? 'core' : group.split('.')[0]}`;
}

/** `status`: writes keep spec as it is, and what else is told. */
export function statusSubresource<T>(
  strategy: Strategy<T>,
  resets: readonly string[] = [],
): ViewSubresource {
  return { ...viewSubresource(strategy), resets: ['spec', ...resets] };
}

export function viewSubresource<T>(
  strategy: Strategy<T>,
  verbs: ViewSubresource['verbs'] = ['get', 'patch', 'update'],
): ViewSubresource {
  return { type: 'view', strategy: strategy as Strategy, verbs };
}

/** What most kinds with spec and status share: `status` is written through its sub-resource, and only there. */
export function withStatus<T>({
  validateStatus,
  statusAlone,
  ...strategy
}: Strategy<T> & {
  validateStatus?: (object: T, old: T) => FieldError[];
  /** Who writes the status cannot write metadata with it. */
  statusAlone?: boolean;
} = {}): {
  strategy: Strategy<T>;
  subresources: Readonly<Record<string, Subresource>>;
} {
  const keep = statusAlone ? keepAllButStatusAlone : keepAllButStatus;
  return {
    strategy: {
      prepareForCreate: (object) => withoutStatus(object as object),
      prepareForUpdate: (object, old) => keepStatus(object as object, old as object),
      ...strategy,
    },
    subresources: {
      status: statusSubresource<T>(
        {
          ...(strategy.default ? { default: strategy.default } : {}),
          prepareForUpdate: (object, old) => keep(object as object, old as object),
          ...(validateStatus ? { validateUpdate: validateStatus } : {}),
        },
        statusAlone ? ['metadata'] : [],
      ),
    },
  };
}

/** `scale` of a kind that counts in spec.replicas and status.replicas and selects by a LabelSelector. */
export function scaleSubresource(selectorOf: (object: KubeObject) => string): ScaleSubresource {
  return {
    type: 'scale',
    replicasPath: ['spec', 'replicas'],
    statusReplicasPath: ['status', 'replicas'],
    selectorOf,
  };
}

export function connectSubresource(
  kind: string,
  verbs: readonly string[],
  apiVersion?: string,
): ConnectSubresource {
  return { type: 'connect', kind, verbs, ...(apiVersion === undefined ? {} : { apiVersion }) };
}

export function column(
  name: string,
  description: string,
  options: { type?: Column['type']; format?: string; wide?: boolean } = {},
): Column {
  return {
    name,
    type: options.type ?? 'string',
    ...(options.format === undefined ? {} : { format: options.format }),
    description,
    priority: options.wide ? 1 : 0,
  };
}

export const NAME_COLUMN = column(
  'Name',
  'Name of the object, unique among its kind and namespace.',
  {
    format: 'name',
  },
);
export const AGE_COLUMN = column('Age', 'Time since the object was created.');

interface TablePart<T> {
  columns: readonly Column[];
  row(object: T, now: number): Cell[];
}

/** What upstream's default convertor prints for kinds without a printer of their own. */
const DEFAULT_TABLE: TablePart<unknown> = {
  columns: [NAME_COLUMN, column('Created At', 'When the object was created.', { type: 'date' })],
  row(object) {
    const { metadata } = object as KubeObject;
    return [metadata.name ?? '', metadata.creationTimestamp ?? null];
  },
};
