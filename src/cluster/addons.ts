import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeObject } from '../api/types.ts';
import { parseYamlDocuments } from '../api/yaml.ts';
import type { Client } from '../client/client.ts';
import { applyObjects, fillIn, removeObjects } from './apply.ts';
import { type ClusterSettings, K8TS_IMAGE, OPTIONAL_PARTS } from './settings.ts';
import { proxyValues } from './static-pods.ts';

/** What the cluster runs on itself, as manifests: one file an addon, named after it. */
const ADDONS = fileURLToPath(new URL('../../deploy/addons/', import.meta.url));

/** The addons that there are. */
export function addonNames(): string[] {
  return readdirSync(ADDONS)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** Why what bears these names cannot be left out, if it cannot. */
export function unknownPart(disabled: readonly string[]): string | undefined {
  const known = [...new Set<string>([...addonNames(), ...OPTIONAL_PARTS])];
  const unknown = disabled.find((name) => !known.includes(name));
  if (unknown === undefined) return undefined;
  return `There is no ${unknown} to leave out; there are: ${known.join(', ')}`;
}

/** The objects of an addon as this cluster needs them. */
export async function addonObjects(name: string, settings: ClusterSettings): Promise<KubeObject[]> {
  const text = readFileSync(`${ADDONS}${name}.yaml`, 'utf8');
  return (await parseYamlDocuments(fillIn(text, valuesOf(settings)))) as KubeObject[];
}

function valuesOf(settings: ClusterSettings): Record<string, string> {
  const { dnsIp, domain } = settings;
  return { DNS_IP: dnsIp, DNS_DOMAIN: domain, K8TS_IMAGE, ...proxyValues(settings) };
}

/** The proxy is a DaemonSet only where the control plane runs in Pods too; elsewhere it is a process. */
function isWanted(name: string, { disabled, staticPods }: ClusterSettings): boolean {
  return !disabled.includes(name) && (name !== 'kube-proxy' || staticPods);
}

/**
 * Brings the wanted addons into the cluster by server-side apply: nothing changes where all is there. An object of which
 * somebody else has taken a field over is left to them. Answers a line for each object that could not be applied.
 */
export async function applyAddons(
  client: Client,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<string[]> {
  const wanted = addonNames().filter((name) => isWanted(name, settings));
  const objects = await Promise.all(wanted.map((name) => addonObjects(name, settings)));
  return applyObjects(client, objects.flat(), signal);
}

/**
 * Takes away what an earlier start has brought and the operator of this machine leaves out now: what other control planes
 * have heard of when they joined may be long out of date. Answers a line for each object that stays all the same, with the
 * command that removes it.
 */
export async function withdrawAddons(
  client: Client,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<string[]> {
  const names = addonNames().filter((name) => settings.chosen?.disabled?.includes(name));
  const objects = await Promise.all(
    names.map(async (name) => {
      const all = await addonObjects(name, settings);
      // Under its account the proxies of nodes that have joined work too, wherever they come from.
      return name === 'kube-proxy' ? all.filter(({ kind }) => kind === 'DaemonSet') : all;
    }),
  );
  return removeObjects(client, objects.flat(), signal);
}
