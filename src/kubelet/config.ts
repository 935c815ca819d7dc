import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseYaml } from '../api/yaml.ts';
import { errorMessage } from '../util/errors.ts';
import { isObject, type JsonObject } from '../util/json.ts';
import { isAcceptedField, unsupportedField } from './config-accepted.ts';
import type { VerificationPolicy } from './pull-records.ts';

/**
 * KubeletConfiguration (kubelet.config.k8s.io/v1beta1) with its defaults: the fields that this kubelet acts on.
 * Durations are Go's text. https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
export interface KubeletConfiguration {
  address: string;
  port: number;
  healthzBindAddress: string;
  healthzPort: number;
  tlsCertFile: string;
  tlsPrivateKeyFile: string;
  authentication: {
    anonymous: { enabled: boolean };
    x509: { clientCAFile: string };
    webhook: { enabled: boolean; cacheTTL: string };
  };
  authorization: {
    mode: string;
    webhook: { cacheAuthorizedTTL: string; cacheUnauthorizedTTL: string };
  };
  rotateCertificates: boolean;
  serverTLSBootstrap: boolean;
  staticPodPath: string;
  containerRuntimeEndpoint: string;
  cgroupDriver: string;
  cgroupRoot: string;
  enforceNodeAllocatable: string[];
  clusterDNS: string[];
  clusterDomain: string;
  resolvConf: string;
  podLogsDir: string;
  maxPods: number;
  podPidsLimit: number;
  podCIDR: string;
  seccompDefault: boolean;
  serializeImagePulls: boolean;
  /** Infinity: no limit. */
  maxParallelImagePulls: number;
  imagePullCredentialsVerificationPolicy: VerificationPolicy;
  registerNode: boolean;
  registerWithTaints: { key: string; value?: string; effect: string }[];
  nodeLeaseDurationSeconds: number;
  nodeStatusReportFrequency: string;
  nodeStatusUpdateFrequency: string;
  fileCheckFrequency: string;
  runtimeRequestTimeout: string;
  streamingConnectionIdleTimeout: string;
  enableServer: boolean;
  failSwapOn: boolean;
  failCgroupV1: boolean;
  memorySwap: { swapBehavior?: string };
  containerLogMaxSize: string;
  containerLogMaxFiles: number;
  containerLogMonitorInterval: string;
  imageGCHighThresholdPercent: number;
  imageGCLowThresholdPercent: number;
  imageMinimumGCAge: string;
  imageMaximumGCAge: string;
  kubeReserved: Record<string, string>;
  systemReserved: Record<string, string>;
  evictionHard: Record<string, string>;
  evictionSoft: Record<string, string>;
  evictionSoftGracePeriod: Record<string, string>;
  evictionMaxPodGracePeriod: number;
  evictionPressureTransitionPeriod: string;
  evictionMinimumReclaim: Record<string, string>;
  shutdownGracePeriod: string;
  shutdownGracePeriodCriticalPods: string;
  enableDebuggingHandlers: boolean;
  enableSystemLogHandler: boolean;
  allowedUnsafeSysctls: string[];
}

export const DEFAULTS: KubeletConfiguration = {
  address: '0.0.0.0',
  port: 10_250,
  healthzBindAddress: '127.0.0.1',
  healthzPort: 10_248,
  tlsCertFile: '',
  tlsPrivateKeyFile: '',
  authentication: {
    anonymous: { enabled: false },
    x509: { clientCAFile: '' },
    webhook: { enabled: true, cacheTTL: '2m' },
  },
  authorization: {
    mode: 'Webhook',
    webhook: { cacheAuthorizedTTL: '5m', cacheUnauthorizedTTL: '30s' },
  },
  rotateCertificates: false,
  serverTLSBootstrap: false,
  staticPodPath: '',
  containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
  cgroupDriver: 'cgroupfs',
  cgroupRoot: '/',
  enforceNodeAllocatable: ['pods'],
  clusterDNS: [],
  clusterDomain: '',
  resolvConf: '/etc/resolv.conf',
  podLogsDir: '/var/log/pods',
  maxPods: 110,
  podPidsLimit: -1,
  podCIDR: '',
  seccompDefault: false,
  serializeImagePulls: true,
  maxParallelImagePulls: Infinity,
  imagePullCredentialsVerificationPolicy: 'NeverVerifyPreloadedImages',
  registerNode: true,
  registerWithTaints: [],
  nodeLeaseDurationSeconds: 40,
  nodeStatusReportFrequency: '5m',
  nodeStatusUpdateFrequency: '10s',
  fileCheckFrequency: '20s',
  runtimeRequestTimeout: '2m',
  streamingConnectionIdleTimeout: '4h',
  enableServer: true,
  failSwapOn: true,
  failCgroupV1: false,
  memorySwap: {},
  containerLogMaxSize: '10Mi',
  containerLogMaxFiles: 5,
  containerLogMonitorInterval: '10s',
  imageGCHighThresholdPercent: 85,
  imageGCLowThresholdPercent: 80,
  imageMinimumGCAge: '2m',
  imageMaximumGCAge: '0s',
  kubeReserved: {},
  systemReserved: {},
  evictionHard: {
    'memory.available': '100Mi',
    'nodefs.available': '10%',
    'nodefs.inodesFree': '5%',
    'imagefs.available': '15%',
    'imagefs.inodesFree': '5%',
  },
  evictionSoft: {},
  evictionSoftGracePeriod: {},
  evictionMaxPodGracePeriod: 0,
  evictionPressureTransitionPeriod: '5m',
  evictionMinimumReclaim: {},
  shutdownGracePeriod: '0s',
  shutdownGracePeriodCriticalPods: '0s',
  enableDebuggingHandlers: true,
  enableSystemLogHandler: true,
  allowedUnsafeSysctls: [],
};

/** Reads a configuration file and, after it, every `*.conf` of a drop-in directory in their order. */
export async function loadConfiguration(
  file: string | undefined,
  directory: string | undefined,
): Promise<KubeletConfiguration> {
  let config = structuredClone(DEFAULTS);
  for (const path of [...(file === undefined ? [] : [file]), ...(await dropIns(directory))]) {
    const text = await readFile(path, 'utf8');
    try {
      config = await parseConfiguration(text, config);
    } catch (err) {
      throw new Error(`${path}: ${errorMessage(err)}`);
    }
  }
  return config;
}

async function dropIns(directory: string | undefined): Promise<string[]> {
  if (directory === undefined || directory === '') return [];
  const names = (await readdir(directory)).filter((name) => name.endsWith('.conf'));
  return names.sort().map((name) => join(directory, name));
}

/** Lays one document over `base`. Unknown fields are refused, with the line where they stand. */
export async function parseConfiguration(
  text: string,
  base: KubeletConfiguration,
): Promise<KubeletConfiguration> {
  const document = await parseYaml(text);
  if (!isObject(document)) throw new Error('not a KubeletConfiguration');
  if (document.kind !== 'KubeletConfiguration') {
    throw new Error(
      `no kind "${String(document.kind)}" is registered for the kubelet's configuration`,
    );
  }
  if (document.apiVersion !== 'kubelet.config.k8s.io/v1beta1') {
    throw new Error(`unknown apiVersion "${String(document.apiVersion)}"`);
  }
  refuseUnsupported(document, text);
  const known: JsonObject = {};
  for (const [field, value] of Object.entries(document)) {
    if (field in DEFAULTS) known[field] = value;
    else if (!isAcceptedField(field)) {
      throw new Error(`line ${lineOf(text, field)}: unknown field "${field}"`);
    }
  }
  const merged = overlay(base as unknown as JsonObject, known) as unknown as KubeletConfiguration;
  checkTypes(merged, text);
  setPulls(merged, known, text);
  const { imagePullCredentialsVerificationPolicy: policy } = merged;
  if (!POLICIES.includes(policy)) {
    const line = lineOf(text, 'imagePullCredentialsVerificationPolicy');
    throw new Error(
      `line ${line}: imagePullCredentialsVerificationPolicy: ${JSON.stringify(policy)} is not supported`,
    );
  }
  if (!MODES.includes(merged.authorization.mode)) {
    throw new Error(
      `line ${lineOf(text, 'mode')}: authorization.mode must be AlwaysAllow or Webhook`,
    );
  }
  return merged;
}

/** Whoever sets a limit of parallel pulls wants them parallel. */
function setPulls(merged: KubeletConfiguration, given: JsonObject, text: string): void {
  const { maxParallelImagePulls: limit } = merged;
  const isLimited = given.maxParallelImagePulls !== undefined;
  if (isLimited && limit > 1 && given.serializeImagePulls === undefined) {
    merged.serializeImagePulls = false;
  }
  const refuse = (why: string): never => {
    throw new Error(`line ${lineOf(text, 'maxParallelImagePulls')}: maxParallelImagePulls ${why}`);
  };
  if (limit < 1) refuse('must be a positive number');
  if (isLimited && limit > 1 && merged.serializeImagePulls) {
    refuse('cannot be larger than 1 unless serializeImagePulls is set to false');
  }
}

function refuseUnsupported(document: JsonObject, text: string): void {
  const field = unsupportedField(document);
  if (field === undefined) return;
  const value = JSON.stringify(document[field]);
  throw new Error(`line ${lineOf(text, field)}: ${field}: ${value} is not supported`);
}

/** Fields of which nothing, zero or no time means the default, as upstream reads what its own tools write. */
const EMPTY_IS_DEFAULT = new Set([
  ...['address', 'port', 'healthzBindAddress', 'containerRuntimeEndpoint', 'containerLogMaxSize'],
  ...['nodeStatusUpdateFrequency', 'nodeStatusReportFrequency', 'nodeLeaseDurationSeconds'],
  ...[
    'fileCheckFrequency',
    'runtimeRequestTimeout',
    'streamingConnectionIdleTimeout',
    'imageMinimumGCAge',
    'cgroupDriver',
    'cgroupRoot',
    'podLogsDir',
  ],
  ...['evictionPressureTransitionPeriod', 'containerLogMonitorInterval', 'maxPods'],
  ...['cacheTTL', 'cacheAuthorizedTTL', 'cacheUnauthorizedTTL'],
]);
const EMPTY = new Set<unknown>(['', 0, '0s', '0']);

function isLeftToDefault(field: string, value: unknown): boolean {
  return value === null || (EMPTY_IS_DEFAULT.has(field) && EMPTY.has(value));
}

const MERGED = new Set(['authentication', 'anonymous', 'x509', 'webhook', 'authorization']);

/** Objects merge, everything else replaces; an eviction map is one value. */
function overlay(base: JsonObject, over: JsonObject): JsonObject {
  const result: JsonObject = { ...base };
  for (const [field, value] of Object.entries(over)) {
    if (isLeftToDefault(field, value)) continue;
    const before = result[field];
    const merges = MERGED.has(field);
    result[field] = merges && isObject(before) && isObject(value) ? overlay(before, value) : value;
  }
  return result;
}

const POLICIES = ['NeverVerify', 'NeverVerifyPreloadedImages', 'AlwaysVerify'];
const MODES = ['AlwaysAllow', 'Webhook'];

function checkTypes(config: KubeletConfiguration, text: string): void {
  for (const [field, fallback] of Object.entries(DEFAULTS)) {
    const value = (config as unknown as JsonObject)[field];
    const right =
      Array.isArray(fallback) === Array.isArray(value) && typeof value === typeof fallback;
    if (right && value !== null) continue;
    throw new Error(`line ${lineOf(text, field)}: ${field} must be ${nameOf(fallback)}`);
  }
}

const nameOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : `a ${typeof value}`);

function lineOf(text: string, field: string): number {
  const lines = text.split('\n');
  const found = lines.findIndex((line) => new RegExp(`^\\s*["']?${field}["']?\\s*:`).test(line));
  return found + 1;
}

const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's duration text in milliseconds: `1m30s`, `300ms`, `0`. Throws RangeError. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== text) {
    throw new RangeError(`time: invalid duration ${JSON.stringify(text)}`);
  }
  return parts.reduce(
    (sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ''] ?? 0),
    0,
  );
}
