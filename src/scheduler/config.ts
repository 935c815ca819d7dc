import { duplicate, type FieldError, invalid, required } from '../api/field-errors.ts';
import { ConfigReader } from './config-reader.ts';

export const CONFIG_API_VERSION = 'kubescheduler.config.k8s.io/v1';
export const DEFAULT_SCHEDULER_NAME = 'default-scheduler';

/** Places where plugins are switched on and off, in the file's words. */
export const POINT_NAMES = [
  'preEnqueue',
  'queueSort',
  'preFilter',
  'filter',
  'postFilter',
  'preScore',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const;
export type PointName = (typeof POINT_NAMES)[number];

export interface PluginSwitch {
  readonly name: string;
  /** Of its scores; 0: not said. */
  readonly weight: number;
}

export interface PluginSet {
  readonly enabled: readonly PluginSwitch[];
  /** Names, or `*`. */
  readonly disabled: ReadonlySet<string>;
}

export interface ProfileConfig {
  readonly schedulerName: string;
  readonly percentageOfNodesToScore: number | undefined;
  readonly plugins: ReadonlyMap<PointName | 'multiPoint', PluginSet>;
  /** Plugin name → its raw args and where they stand in the file. */
  readonly args: ReadonlyMap<string, ConfigReader>;
  readonly path: string;
}

export interface ExtenderConfig {
  readonly urlPrefix: string;
  readonly filterVerb: string;
  readonly prioritizeVerb: string;
  readonly preemptVerb: string;
  readonly bindVerb: string;
  readonly weight: number;
  readonly timeoutMs: number;
  readonly nodeCacheCapable: boolean;
  readonly managedResources: readonly { name: string; ignoredByScheduler: boolean }[];
  readonly ignorable: boolean;
  readonly enableHttps: boolean;
  readonly tls: TlsFiles;
}

/** Files of a TLS client; empty: not set. */
export interface TlsFiles {
  readonly insecure: boolean;
  readonly serverName: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** KubeSchedulerConfiguration v1 with defaults filled in. */
export interface SchedulerConfig {
  readonly percentageOfNodesToScore: number;
  readonly podInitialBackoffMs: number;
  readonly podMaxBackoffMs: number;
  readonly kubeconfig: string;
  readonly leaderElection: {
    readonly leaderElect: boolean;
    readonly leaseMs: number;
    readonly renewDeadlineMs: number;
    readonly retryMs: number;
    readonly resourceName: string;
    readonly resourceNamespace: string;
  };
  readonly profiles: readonly ProfileConfig[];
  readonly extenders: readonly ExtenderConfig[];
}

/** Everything wrong with a configuration, one line per field. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(errors: readonly FieldError[]) {
    super(errors.map(({ field, message }) => `${field}: ${message}`).join('\n'));
  }
}

const TOP_FIELDS = [
  'apiVersion',
  'kind',
  'parallelism',
  'leaderElection',
  'clientConnection',
  'enableProfiling',
  'enableContentionProfiling',
  'percentageOfNodesToScore',
  'podInitialBackoffSeconds',
  'podMaxBackoffSeconds',
  'profiles',
  'extenders',
  'delayCacheUntilActive',
];

/** Reads a parsed file. Throws ConfigError with every mistake. An absent file is an empty one. */
export function readConfig(value: unknown): SchedulerConfig {
  const errors: FieldError[] = [];
  const top = new ConfigReader(value, '', errors).only(...TOP_FIELDS);
  if (value !== undefined) {
    top.choice('apiVersion', [CONFIG_API_VERSION], CONFIG_API_VERSION);
    top.choice('kind', ['KubeSchedulerConfiguration'], 'KubeSchedulerConfiguration');
  }
  // One thread does the work here, however many upstream would use; the value is still checked.
  const positive = 'should be an integer value greater than zero';
  top.integer('parallelism', { fallback: 16, min: 1, hint: positive });
  const initial = top.integer('podInitialBackoffSeconds', {
    ...{ fallback: 1, min: 1, hint: 'must be greater than 0' },
  });
  const longest = top.integer('podMaxBackoffSeconds', {
    ...{ fallback: Math.max(10, initial), min: initial },
    hint: 'must be greater than or equal to PodInitialBackoffSeconds',
  });
  const config: SchedulerConfig = {
    percentageOfNodesToScore: percentage(top),
    podInitialBackoffMs: initial * 1000,
    podMaxBackoffMs: longest * 1000,
    kubeconfig: top
      .object('clientConnection')
      .only('kubeconfig', 'acceptContentTypes', 'contentType', 'qps', 'burst')
      .string('kubeconfig'),
    leaderElection: readLeaderElection(top.object('leaderElection')),
    profiles: readProfiles(top),
    extenders: readExtenders(top),
  };
  if (errors.length > 0) throw new ConfigError(errors);
  return config;
}

function percentage(reader: ConfigReader): number {
  return reader.integer('percentageOfNodesToScore', {
    ...{ fallback: 0, min: 0, max: 100, hint: 'not in valid range [0-100]' },
  });
}

function readLeaderElection(reader: ConfigReader): SchedulerConfig['leaderElection'] {
  reader.only(
    ...['leaderElect', 'leaseDuration', 'renewDeadline', 'retryPeriod'],
    ...['resourceLock', 'resourceName', 'resourceNamespace'],
  );
  reader.choice('resourceLock', ['leases'], 'leases');
  const leaseMs = positive(reader, 'leaseDuration', 15_000);
  const renewDeadlineMs = positive(reader, 'renewDeadline', 10_000);
  if (leaseMs <= renewDeadlineMs) {
    const detail = 'LeaseDuration must be greater than RenewDeadline';
    reader.errors.push(
      invalid(reader.at('leaseDuration'), reader.raw('leaseDuration') ?? '15s', detail),
    );
  }
  return {
    leaderElect: reader.boolean('leaderElect', true),
    ...{ leaseMs, renewDeadlineMs, retryMs: positive(reader, 'retryPeriod', 2_000) },
    resourceName: reader.string('resourceName', 'kube-scheduler'),
    resourceNamespace: reader.string('resourceNamespace', 'kube-system'),
  };
}

function positive(reader: ConfigReader, field: string, fallbackMs: number): number {
  const ms = reader.duration(field, fallbackMs);
  if (ms > 0) return ms;
  reader.errors.push(invalid(reader.at(field), reader.raw(field), 'must be greater than zero'));
  return fallbackMs;
}

function readProfiles(top: ConfigReader): ProfileConfig[] {
  if (!top.has('profiles')) {
    return [
      {
        schedulerName: DEFAULT_SCHEDULER_NAME,
        percentageOfNodesToScore: undefined,
        ...{ plugins: new Map(), args: new Map(), path: 'profiles[0]' },
      },
    ];
  }
  const readers = top.objects('profiles');
  if (readers.length === 0) top.errors.push(required('profiles'));
  const names = new Set<string>();
  return readers.map((reader) => {
    const profile = readProfile(reader, readers.length === 1);
    if (names.has(profile.schedulerName)) {
      top.errors.push(duplicate(reader.at('schedulerName'), profile.schedulerName));
    }
    names.add(profile.schedulerName);
    return profile;
  });
}

function readProfile(reader: ConfigReader, only: boolean): ProfileConfig {
  reader.only('schedulerName', 'percentageOfNodesToScore', 'plugins', 'pluginConfig');
  if (!only) reader.require('schedulerName');
  const switches = reader.object('plugins').only('multiPoint', ...POINT_NAMES);
  const plugins = new Map<PointName | 'multiPoint', PluginSet>();
  for (const point of ['multiPoint', ...POINT_NAMES] as const) {
    if (switches.has(point)) plugins.set(point, readPluginSet(switches.object(point)));
  }
  const args = new Map<string, ConfigReader>();
  for (const entry of reader.objects('pluginConfig')) {
    entry.only('name', 'args').require('name');
    const name = entry.string('name');
    if (args.has(name)) reader.errors.push(duplicate(entry.path, name));
    args.set(name, entry.object('args'));
  }
  return {
    schedulerName: reader.string('schedulerName', DEFAULT_SCHEDULER_NAME),
    percentageOfNodesToScore: reader.has('percentageOfNodesToScore')
      ? percentage(reader)
      : undefined,
    ...{ plugins, args, path: reader.path },
  };
}

function readPluginSet(reader: ConfigReader): PluginSet {
  reader.only('enabled', 'disabled');
  const enabled = reader.objects('enabled').map((one) => {
    one.only('name', 'weight').require('name');
    const hint = 'must be a non-negative integer';
    return {
      name: one.string('name'),
      weight: one.integer('weight', { fallback: 0, min: 0, hint }),
    };
  });
  const disabled = reader.objects('disabled').map((one) => {
    one.only('name', 'weight').require('name');
    return one.string('name');
  });
  return { enabled, disabled: new Set(disabled) };
}

function readExtenders(top: ConfigReader): ExtenderConfig[] {
  const readers = top.objects('extenders');
  const extenders = readers.map(readExtender);
  const binders = extenders.filter((extender) => extender.bindVerb !== '').length;
  if (binders > 1) {
    top.errors.push(
      invalid('extenders', `found ${binders} extenders implementing bind`, 'only one'),
    );
  }
  return extenders;
}

const EXTENDER_FIELDS = [
  ...['urlPrefix', 'filterVerb', 'preemptVerb', 'prioritizeVerb', 'weight', 'bindVerb'],
  ...[
    'enableHTTPS',
    'tlsConfig',
    'httpTimeout',
    'nodeCacheCapable',
    'managedResources',
    'ignorable',
  ],
];

function readExtender(reader: ConfigReader): ExtenderConfig {
  reader.only(...EXTENDER_FIELDS).require('urlPrefix');
  const prioritizeVerb = reader.string('prioritizeVerb');
  const weight = reader.integer('weight', {
    ...{ fallback: prioritizeVerb === '' ? 0 : 1, min: prioritizeVerb === '' ? 0 : 1 },
    hint: 'must have a positive weight applied to it',
  });
  const tls = reader
    .object('tlsConfig')
    .only('insecure', 'serverName', 'certFile', 'keyFile', 'caFile');
  return {
    urlPrefix: reader.string('urlPrefix'),
    filterVerb: reader.string('filterVerb'),
    prioritizeVerb,
    preemptVerb: reader.string('preemptVerb'),
    bindVerb: reader.string('bindVerb'),
    weight,
    timeoutMs: reader.duration('httpTimeout', 5_000),
    nodeCacheCapable: reader.boolean('nodeCacheCapable', false),
    managedResources: reader.objects('managedResources').map((one) => {
      one.only('name', 'ignoredByScheduler').require('name');
      const ignoredByScheduler = one.boolean('ignoredByScheduler', false);
      return { name: one.string('name'), ignoredByScheduler };
    }),
    ignorable: reader.boolean('ignorable', false),
    enableHttps: reader.boolean('enableHTTPS', false),
    tls: {
      insecure: tls.boolean('insecure', false),
      serverName: tls.string('serverName'),
      certFile: tls.string('certFile'),
      keyFile: tls.string('keyFile'),
      caFile: tls.string('caFile'),
    },
  };
}
