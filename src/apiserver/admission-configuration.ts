import { isObject, type JsonObject } from '../util/json.ts';
import { isLevel, LEVELS, MODES, minorOf, type Policy } from './admission/pod-security/policy.ts';
import { DEFAULT_POD_SECURITY, type PodSecurityOptions } from './admission/pod-security.ts';

/** What the file of --admission-control-config-file says. */
export interface AdmissionConfiguration {
  readonly podSecurity?: PodSecurityOptions;
}

const KIND = 'AdmissionConfiguration';
const VERSIONS = ['apiserver.config.k8s.io/v1', 'apiserver.config.k8s.io/v1alpha1'];
const POD_SECURITY_GROUP = 'pod-security.admission.config.k8s.io/';

/**
 * Reads an AdmissionConfiguration; `read` reads the file that a plug-in's `path` names. Throws Error that names what is
 * wrong, and for plug-ins that have no configuration here.
 */
export async function admissionConfigurationOf(
  data: unknown,
  read: (path: string) => Promise<unknown>,
): Promise<AdmissionConfiguration> {
  if (!isObject(data) || data.kind !== KIND || !VERSIONS.includes(String(data.apiVersion))) {
    throw new Error(`The admission configuration must be an ${VERSIONS[0]} ${KIND}`);
  }
  let out: AdmissionConfiguration = {};
  for (const [i, plugin] of objects(data.plugins).entries()) {
    const { name, path, configuration } = plugin;
    const at = `Admission configuration: plugins[${i}]`;
    if (name !== 'PodSecurity') {
      throw new Error(`${at}: ${JSON.stringify(name)} takes no configuration here`);
    }
    const own = typeof path === 'string' && path !== '' ? await read(path) : configuration;
    out = { ...out, podSecurity: podSecurityOf(own, `${at}.configuration`) };
  }
  return out;
}

/** https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/ */
function podSecurityOf(data: unknown, at: string): PodSecurityOptions {
  const isKnown =
    isObject(data) &&
    data.kind === 'PodSecurityConfiguration' &&
    String(data.apiVersion).startsWith(POD_SECURITY_GROUP);
  if (!isKnown)
    throw new Error(`${at}: must be a ${POD_SECURITY_GROUP}v1 PodSecurityConfiguration`);
  const defaults = isObject(data.defaults) ? data.defaults : {};
  const exemptions = isObject(data.exemptions) ? data.exemptions : {};
  return {
    defaults: policyOf(defaults, `${at}.defaults`),
    exemptions: {
      usernames: texts(exemptions.usernames, `${at}.exemptions.usernames`),
      namespaces: texts(exemptions.namespaces, `${at}.exemptions.namespaces`),
      runtimeClasses: texts(exemptions.runtimeClasses, `${at}.exemptions.runtimeClasses`),
    },
  };
}

function policyOf(defaults: JsonObject, at: string): Policy {
  const entries = MODES.map((mode) => {
    const { level: usual } = DEFAULT_POD_SECURITY.defaults[mode];
    const level = String(defaults[mode] ?? usual);
    const version = String(defaults[`${mode}-version`] ?? 'latest');
    if (!isLevel(level)) throw new Error(`${at}.${mode}: must be one of ${LEVELS.join(', ')}`);
    if (minorOf(version) === undefined) {
      throw new Error(`${at}.${mode}-version: must be "latest" or "v1.x"`);
    }
    return [mode, { level, version }] as const;
  });
  return Object.fromEntries(entries) as unknown as Policy;
}

function texts(value: unknown, at: string): string[] {
  const list = Array.isArray(value) ? value : [];
  if (list.some((item) => typeof item !== 'string' || item === '')) {
    throw new Error(`${at}: must be a list of names`);
  }
  const doubled = list.find((item, i) => list.indexOf(item) !== i);
  if (doubled !== undefined) throw new Error(`${at}: Duplicate value: ${JSON.stringify(doubled)}`);
  return list;
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
