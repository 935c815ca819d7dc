import type { FieldError } from '../api/field-errors.ts';
import type { ResourceType } from '../api/resource-types.ts';
import type { KubeObject } from '../api/types.ts';
import type { JsonObject } from '../util/json.ts';

/** Who asks. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** A column of `kubectl get` (meta/v1 TableColumnDefinition); priority 1 shows with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format?: string;
  readonly description: string;
  readonly priority: 0 | 1;
}

export type Cell = string | number | bigint | boolean | null;

/** A condition of a table's row (meta/v1 TableRowCondition): clients may show a completed Pod greyed out. */
export interface RowCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
}

/** What a write may know of its request. */
export interface WriteContext {
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Adds a line to the answer's Warning header (RFC 7234 code 299). */
  warn(message: string): void;
  /** Adds to the audit event of the request. Absent: nobody keeps one. */
  annotate?(key: string, value: string): void;
}

/**
 * How objects of one kind behave when written (upstream's rest.*Strategy). The generic store has already
 * pruned unknown fields, checked metadata and kept what nobody may change (uid, creationTimestamp, …).
 * Functions may change `object`, never `old`.
 */
export interface Strategy<T = KubeObject> {
  /** Fills in what upstream's defaulting functions fill in. Runs on create, update, after each patch and for stored old objects. */
  default?(object: T): void;
  /** Drops what a creator may not set: status, mostly. */
  prepareForCreate?(object: T, context: WriteContext): void;
  /** Restores what this update may not change: status on the main resource, spec on `status`. */
  prepareForUpdate?(object: T, old: T, context: WriteContext): void;
  validate?(object: T, context: WriteContext): FieldError[];
  validateUpdate?(object: T, old: T, context: WriteContext): FieldError[];
  /** Warnings for the client: deprecated fields and the like. */
  warnings?(object: T, old?: T): string[];
  /** PUT on a name that does not exist creates it. */
  readonly allowCreateOnUpdate?: boolean;
  /** PUT and PATCH without resourceVersion are refused with Invalid. */
  readonly requireResourceVersion?: boolean;
  /** Increase metadata.generation when these top-level fields change. Default: everything but metadata and status. */
  readonly generationFields?: readonly string[];
  /** How the name is checked: `dns-subdomain` unless given. Answers upstream's messages. */
  validateName?(name: string, prefix: boolean): string[];
  /** Seconds of grace for a delete (Pod); 0 deletes at once. Undefined: the kind knows no grace. */
  gracePeriodOf?(object: T, asked: number | undefined): number;
}

/** A sub-resource that reads and writes the same stored object: `status`, `resize`, `ephemeralcontainers`. */
export interface ViewSubresource {
  readonly type: 'view';
  readonly strategy: Strategy;
  /** Top-level fields that a write here cannot change: nobody comes to own them by it. */
  readonly resets?: readonly string[];
  readonly verbs: readonly ('get' | 'update' | 'patch')[];
}

/** `scale`: autoscaling/v1 Scale over fields of the object. */
export interface ScaleSubresource {
  readonly type: 'scale';
  /** Where the numbers are: `spec.replicas`, `status.replicas`, and the selector in string form. */
  replicasPath: readonly string[];
  statusReplicasPath: readonly string[];
  selectorOf(object: KubeObject): string;
}

/** A sub-resource with a handler of its own in handlers/: binding, eviction, log, exec, token, proxy, finalize, approval… */
export interface ConnectSubresource {
  readonly type: 'connect';
  /** Kind and apiVersion that discovery tells. */
  readonly kind: string;
  readonly apiVersion?: string;
  readonly verbs: readonly string[];
}

export type Subresource = ViewSubresource | ScaleSubresource | ConnectSubresource;

/** How objects of a kind get into its version and into the stored one, where only a webhook can tell. Throws ApiError. */
export interface Conversion {
  /** In the kind's own version, whatever versions they come in. Rejects with ConversionRefused for what they hold. */
  toServed(objects: KubeObject[]): Promise<KubeObject[]>;
  toStored(object: KubeObject): Promise<KubeObject>;
  /** The apiVersion of what is stored today. */
  readonly storedVersion: string;
}

/** What a custom kind does in ways of its own. */
export interface CustomParts {
  /** Plain data as an object of the kind, with known fields only; the paths of the others are told. Throws ApiError. */
  decode(data: JsonObject): { object: KubeObject; unknown: string[] };
  /** Its schema as OpenAPI v3 says it. */
  readonly openApi: JsonObject;
}

/** Everything that the server knows about one kind in one version. One file in resources/ declares one kind. */
export interface ResourceKind extends ResourceType {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  /** The schema's definition: `io.k8s.api.core.v1.Pod`. */
  readonly definition: string;
  /** Where objects live below /registry/: `pods`, `services/specs`, `minions` (upstream's layout). */
  readonly storagePrefix: string;
  /** Set when this version is stored as another one (events.k8s.io/v1 as core v1, autoscaling v1 as v2). */
  readonly storedAs?: {
    readonly group: string;
    readonly version: string;
    toStored(object: KubeObject): KubeObject;
    fromStored(object: KubeObject): KubeObject;
  };
  /** Set when a webhook converts between versions. Then everything but the store works in the kind's own version. */
  readonly conversion?: Conversion;
  readonly strategy: Strategy;
  readonly subresources: Readonly<Record<string, Subresource>>;
  readonly columns: readonly Column[];
  /** The cells of one row, as upstream's printers write them. `now` in milliseconds, for ages. */
  row(object: KubeObject, now: number): Cell[];
  rowConditions?(object: KubeObject): RowCondition[];
  /** Values of the selectable fields besides metadata.name and metadata.namespace. */
  fieldsOf?(object: KubeObject): Readonly<Record<string, string>>;
  /** Set for kinds that a CustomResourceDefinition declares. */
  readonly custom?: CustomParts;
  /** Nothing is stored: a handler of its own answers (reviews, bindings, component statuses). */
  readonly virtual?: true;
  /** Objects vanish this many seconds after their last write (events). */
  readonly ttlSeconds?: number;
}
