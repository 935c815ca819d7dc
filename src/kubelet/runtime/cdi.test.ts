import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { injectCdi } from './cdi.ts';
import type { ContainerConfig } from './runtime.ts';

let [early, late] = ['', ''];
beforeAll(() => {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-cdi-'));
  [early, late] = [join(directory, 'early'), join(directory, 'late')];
  for (const path of [early, late]) mkdirSync(path);
  const write = (path: string, env: string) =>
    writeFileSync(
      path,
      `kind: a.test/thing
containerEdits: {env: [ALL=${env}]}
devices:
- name: one
  containerEdits:
    env: [ONE=${env}]
    deviceNodes: [{path: /dev/one, type: c, major: 1}, {path: /dev/two, hostPath: /dev/2, permissions: r}]
    mounts:
    - {hostPath: /h, containerPath: /c, options: [ro, bind]}
    - {hostPath: /s, containerPath: /d, type: bind, options: [rbind, rslave]}
- {name: two, containerEdits: {env: [TWO=2]}}
- {name: hooked, containerEdits: {hooks: []}}
- {name: owned, containerEdits: {deviceNodes: [{path: /dev/one, uid: 7}]}}
- {name: strict, containerEdits: {mounts: [{hostPath: /h, containerPath: /c, options: [ro, nosuid]}]}}
- {name: memory, containerEdits: {mounts: [{hostPath: none, containerPath: /m, type: tmpfs}]}}
`,
    );
  write(join(early, 'a.yaml'), 'early');
  write(join(late, 'a.yaml'), 'late');
});
afterAll(() => rmSync(join(early, '..'), { recursive: true, force: true }));

async function injected(...names: string[]) {
  const none = { envs: [], mounts: [], devices: [] } as unknown as ContainerConfig;
  const config = { ...none, CDIDevices: names.map((name) => ({ name })) };
  const { envs, ...rest } = await injectCdi(config, [early, late, '/nowhere']);
  return { ...rest, envs: envs.map(({ key, value }) => `${key}=${Buffer.from(value)}`) };
}

describe('injectCdi', () => {
  it('puts into the container what its devices need, and what all of their kind do, once', async () => {
    expect(await injected('a.test/thing=one', 'a.test/thing=two')).toEqual({
      envs: ['ALL=late', 'ONE=late', 'TWO=2'],
      devices: [
        { containerPath: '/dev/one', hostPath: '/dev/one', permissions: 'rwm' },
        { containerPath: '/dev/two', hostPath: '/dev/2', permissions: 'r' },
      ],
      mounts: [
        { containerPath: '/c', hostPath: '/h', readonly: true },
        {
          ...{ containerPath: '/d', hostPath: '/s', readonly: false },
          propagation: 'PROPAGATION_HOST_TO_CONTAINER',
        },
      ],
    });
    expect(await injected()).toEqual({ envs: [], mounts: [], devices: [] });
  });

  it.each([
    ['none', 'unresolvable CDI devices a.test/thing=none'],
    ['hooked', 'this engine cannot do hooks'],
    ['owned', 'this engine cannot do deviceNodes.uid'],
    ['strict', 'this engine cannot do the option nosuid of the mount at /c'],
    ['memory', 'this engine cannot do a mount of tmpfs at /m'],
  ])('says what is not there, and what cannot be done: %s', async (name, problem) => {
    await expect(injected(`a.test/thing=${name}`)).rejects.toThrow(problem);
  });

  it.each([
    ['', 'holds no CDI specification'],
    ['{', 'cannot be read'],
  ])('names a file that is none: %j', async (text, problem) => {
    const file = join(late, 'broken.json');
    writeFileSync(file, text);
    const asked = injected('a.test/thing=one').finally(() => rmSync(file));
    await expect(asked).rejects.toThrow(`${file} ${problem}`);
  });
});
