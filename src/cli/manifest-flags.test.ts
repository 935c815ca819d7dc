import { expect, it } from 'vitest';
import { parseYaml } from '../api/yaml.ts';
import { pathsUnder } from '../cluster/paths.ts';
import { DEFAULT_SETTINGS } from '../cluster/settings.ts';
import { staticPodManifests } from '../cluster/static-pods.ts';
import { command as apiserver } from './commands/apiserver.ts';
import { command as controllerManager } from './commands/controller-manager.ts';
import { command as scheduler } from './commands/scheduler.ts';

const settings = {
  ...DEFAULT_SETTINGS,
  ...{ nodeName: 'node-1', nodeIp: '192.0.2.1', staticPods: true, store: 'stacked' as const },
};

it.each([
  ['kube-apiserver', apiserver],
  ['kube-controller-manager', controllerManager],
  ['kube-scheduler', scheduler],
])('%s knows each flag of its manifest', async (name, command) => {
  const manifests = staticPodManifests(pathsUnder('/elsewhere'), settings);
  const text = await manifests.find((one) => one.name === name)?.text({});
  const pod = (await parseYaml(text ?? '')) as {
    spec: { containers: { command: string[] }[] };
  };
  const known = command().options.map(({ long }) => long);
  for (const word of pod.spec.containers[0]?.command.slice(1) ?? []) {
    expect(known).toContain(word.replace(/=.*/s, ''));
  }
});
