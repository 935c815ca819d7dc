// Writes generated/schema.json and generated/descriptions.json from the text of @kubernetes/client-node's
// model files, which are themselves generated from the official OpenAPI document. Run by `npm run generate`.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Attribute {
  /** The name in the TypeScript class: `_default`. */
  name: string;
  /** The name on the wire: `default`. */
  baseName: string;
  type: string;
  format: string;
}

interface Model {
  className: string;
  attributes: Attribute[];
  declaration: string;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GEN = join(ROOT, 'node_modules/@kubernetes/client-node/dist/gen');
const OUT = join(ROOT, 'generated');

const META = 'io.k8s.apimachinery.pkg.apis.meta';
/** The Go package that an API class's types live in, as the OpenAPI document names it. */
const PACKAGES: Record<string, string> = {
  Apiextensions: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions',
  Apiregistration: 'io.k8s.kube-aggregator.pkg.apis.apiregistration',
  FlowcontrolApiserver: 'io.k8s.api.flowcontrol',
  InternalApiserver: 'io.k8s.api.apiserverinternal',
  RbacAuthorization: 'io.k8s.api.rbac',
};
/** Types that several groups use, or that are reachable only from another group than their own. */
const HOME: Record<string, string> = {
  VersionInfo: 'io.k8s.apimachinery.pkg.version.Info',
  V1Scale: 'io.k8s.api.autoscaling.v1.Scale',
  V1Eviction: 'io.k8s.api.policy.v1.Eviction',
  AuthenticationV1TokenRequest: 'io.k8s.api.authentication.v1.TokenRequest',
  V1TopologySelectorTerm: 'io.k8s.api.core.v1.TopologySelectorTerm',
};
const META_TYPES =
  `APIGroup APIGroupList APIResource APIResourceList APIVersions Condition DeleteOptions
  FieldSelectorRequirement GroupVersionForDiscovery LabelSelector LabelSelectorRequirement ListMeta
  ManagedFieldsEntry ObjectMeta OwnerReference Preconditions ServerAddressByClientCIDR Status
  StatusCause StatusDetails WatchEvent`.split(/\s+/);

/** Quantities look like plain strings in the models: here is which ones are not (DEFINITION.FIELD). */
const QUANTITIES = new Set(
  `core.v1.ResourceRequirements.limits core.v1.ResourceRequirements.requests
  core.v1.VolumeResourceRequirements.limits core.v1.VolumeResourceRequirements.requests
  core.v1.NodeStatus.capacity core.v1.NodeStatus.allocatable
  core.v1.PersistentVolumeSpec.capacity core.v1.PersistentVolumeClaimStatus.capacity
  core.v1.PersistentVolumeClaimStatus.allocatedResources core.v1.ContainerStatus.allocatedResources
  core.v1.PodStatus.allocatedResources core.v1.PodSpec.overhead core.v1.NodeAllocatableResourceClaimStatus.resources
  core.v1.ResourceQuotaSpec.hard core.v1.ResourceQuotaStatus.hard core.v1.ResourceQuotaStatus.used
  core.v1.LimitRangeItem.max core.v1.LimitRangeItem.min core.v1.LimitRangeItem.default
  core.v1.LimitRangeItem.defaultRequest core.v1.LimitRangeItem.maxLimitRequestRatio
  core.v1.EmptyDirVolumeSource.sizeLimit core.v1.ResourceFieldSelector.divisor
  node.v1.Overhead.podFixed storage.v1.CSIStorageCapacity.capacity storage.v1.CSIStorageCapacity.maximumVolumeSize
  autoscaling.v2.MetricTarget.averageValue autoscaling.v2.MetricTarget.value
  autoscaling.v2.MetricValueStatus.averageValue autoscaling.v2.MetricValueStatus.value
  autoscaling.v2.HPAScalingRules.tolerance
  ${['v1', 'v1beta1', 'v1beta2']
    .map((v) =>
      `CapacityRequestPolicy.default CapacityRequestPolicy.validValues CapacityRequestPolicyRange.min
      CapacityRequestPolicyRange.max CapacityRequestPolicyRange.step CapacityRequirements.requests
      Counter.value DeviceCapacity.value DeviceRequestAllocationResult.consumedCapacity
      NodeAllocatableResourceMapping.allocationMultiplier`.replace(/(\S+)/g, `resource.${v}.$1`),
    )
    .join(' ')}`
    .trim()
    .split(/\s+/)
    .map((f) => `io.k8s.api.${f}`),
);

const SCALARS: Record<string, string> = {
  'string|': 's',
  'string|byte': 'B',
  'boolean|': 'b',
  'number|int32': 'i',
  'number|int64': 'l',
  'number|double': 'd',
  'IntOrString|int-or-string': 'x',
  'Date|date-time': 't',
  'V1MicroTime|date-time-micro': 'm',
  'any|': 'a',
};

function readModels(): Map<string, Model> {
  const models = new Map<string, Model>();
  for (const file of readdirSync(join(GEN, 'models'))) {
    if (!file.endsWith('.js') || file === 'all.js' || file === 'ObjectSerializer.js') continue;
    const className = file.slice(0, -3);
    const source = readFileSync(join(GEN, 'models', file), 'utf8');
    const found = /attributeTypeMap = (\[[\s\S]*?\n?\]);/.exec(source);
    if (!found?.[1]) throw new Error(`no attributeTypeMap in ${file}`);
    const attributes = JSON.parse(found[1]) as Attribute[];
    const declaration = readFileSync(join(GEN, 'models', `${className}.d.ts`), 'utf8');
    models.set(className, { className, attributes, declaration });
  }
  return models;
}

/** `CoreV1Event` and `V1Pod` without what the generator put in front. */
function split(className: string): { version: string; kind: string } {
  const found = /^(?:[A-Z][a-z]+)?V(\d+(?:(?:alpha|beta)\d+)?)([A-Z].*)$/.exec(className);
  if (!found?.[1] || !found[2]) throw new Error(`cannot read the class name ${className}`);
  return { version: `v${found[1]}`, kind: found[2] };
}

function classesIn(type: string): string[] {
  return type.match(/\b(?:[A-Z][a-z]+)*V\d\w+/g) ?? [];
}

/** The models that each group's API class uses, core first: what core reaches is core's. */
function seeds(): [string, string[]][] {
  const apis = readdirSync(join(GEN, 'apis')).filter((f) => /V\d\w*Api\.d\.ts$/.test(f));
  apis.sort((a, b) => Number(b.startsWith('CoreV')) - Number(a.startsWith('CoreV')));
  return apis.map((file) => {
    const group = file.replace(/V\d\w*Api\.d\.ts$/, '');
    const source = readFileSync(join(GEN, 'apis', file), 'utf8');
    const used = [...source.matchAll(/models\/(\w+)\.js/g)].map((m) => m[1] ?? '');
    return [PACKAGES[group] ?? `io.k8s.api.${group.toLowerCase()}`, used];
  });
}

/** Gives each class its OpenAPI name: a type belongs to the first group that reaches it. */
function nameModels(models: Map<string, Model>): Map<string, string> {
  const names = new Map<string, string>();
  for (const kind of META_TYPES) names.set(`V1${kind}`, `${META}.v1.${kind}`);
  for (const [className, name] of Object.entries(HOME)) names.set(className, name);
  const spread = (pkg: string, from: string[]) => {
    const queue = [...from];
    for (let c = queue.pop(); c !== undefined; c = queue.pop()) {
      const model = models.get(c);
      if (!model || names.has(c)) continue;
      const { version, kind } = split(c);
      names.set(c, `${pkg}.${version}.${kind}`);
      for (const a of model.attributes) queue.push(...classesIn(a.type));
    }
  };
  for (const [className, name] of [...names]) {
    const pkg = name.replace(/\.v\d\w*\.\w+$/, '');
    for (const a of models.get(className)?.attributes ?? []) {
      spread(pkg, classesIn(a.type));
    }
  }
  for (const [pkg, used] of seeds()) spread(pkg, used);
  return names;
}

function typeCode(type: string, format: string, names: Map<string, string>): string {
  const list = /^Array<(.*)>$/.exec(type);
  if (list?.[1]) return `[${typeCode(list[1], format, names)}`;
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map?.[1]) return `{${typeCode(map[1], format, names)}`;
  const scalar = SCALARS[`${type}|${format}`];
  if (scalar) return scalar;
  const name = names.get(type);
  if (!name) throw new Error(`unknown type ${type} (${format})`);
  return `@${name}`;
}

function unescapeDoc(text: string): string {
  return text
    .replace(/\s*\n\s*\*\s?/g, '\n')
    .trim()
    .replace(/\\(['"\\])/g, '$1')
    .replace(/\*_\/ /g, '*/ ');
}

/** The class comment and, by TypeScript name, each property's comment and whether it must be there. */
function readDeclaration(model: Model): {
  description: string;
  properties: Map<string, { description: string; required: boolean }>;
} {
  const head = /\/\*\*\n?\s*\*([\s\S]*?)\*\/\s*export declare class/.exec(
    model.declaration.slice(model.declaration.indexOf('*/') + 2),
  );
  const properties = new Map<string, { description: string; required: boolean }>();
  const property = /(?:\/\*\*\s*\n\s*\*((?:(?!\*\/)[\s\S])*?)\*\/\s*)?'(\w+|\$\w+)'(\??): /g;
  for (const m of model.declaration.matchAll(property)) {
    properties.set(m[2] ?? '', { description: unescapeDoc(m[1] ?? ''), required: m[3] !== '?' });
  }
  return { description: unescapeDoc(head?.[1] ?? ''), properties };
}

function main(): void {
  const models = readModels();
  const names = nameModels(models);
  const schema: Record<string, [string, string, 0 | 1][]> = {};
  const descriptions: Record<string, [string, string[]]> = {};
  for (const [className, name] of [...names].sort((a, b) => (a[1] < b[1] ? -1 : 1))) {
    const model = models.get(className);
    if (!model) continue;
    if (schema[name]) throw new Error(`${className}: ${name} is taken`);
    const { description, properties } = readDeclaration(model);
    schema[name] = model.attributes.map((a) => {
      const code = typeCode(a.type, a.format, names);
      const quantity = QUANTITIES.delete(`${name}.${a.baseName}`);
      const required = properties.get(a.name)?.required ? 1 : 0;
      return [a.baseName, quantity ? code.replace(/s$/, 'q') : code, required];
    });
    const texts = model.attributes.map((a) => properties.get(a.name)?.description ?? '');
    descriptions[name] = [description, texts];
  }
  write('descriptions.json', descriptions);
  write('schema.json', schema);
  if (process.argv.includes('--verbose')) console.log('unused quantities:', [...QUANTITIES]);
}

/** Whole or not at all: another process may be reading. */
function write(file: string, content: unknown): void {
  mkdirSync(OUT, { recursive: true });
  const temporary = join(OUT, `.${file}.${process.pid}`);
  writeFileSync(temporary, JSON.stringify(content));
  renameSync(temporary, join(OUT, file));
}

main();
