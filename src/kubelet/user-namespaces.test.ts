import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { podWith } from './pods.fake.ts';
import type { ContainerConfig, PodSandboxConfig } from './runtime/runtime.ts';
import { inUserNamespace, UserNamespaces } from './user-namespaces.ts';

let podsDir = '';
beforeEach(() => {
  podsDir = mkdtempSync(join(tmpdir(), 'k8ts-userns-'));
});
afterEach(() => rmSync(podsDir, { recursive: true, force: true }));

const pod = (uid: string, spec = {}) => podWith({ hostUsers: false, ...spec }, { uid });
const opened = (supports = true): UserNamespaces =>
  new UserNamespaces({ podsDir, supports: () => supports });
const firstOf = (namespaces: UserNamespaces, uid: string) =>
  namespaces.of(pod(uid))?.uids[0]?.hostId;

describe('UserNamespaces', () => {
  it('gives each pod users of its own, and the same ones after a restart', () => {
    const namespaces = opened();
    expect(['a', 'b', 'a'].map((uid) => firstOf(namespaces, uid))).toEqual([
      65_536, 131_072, 65_536,
    ]);
    expect(namespaces.of(podWith({}, { uid: 'c' }))).toBeUndefined();
    const next = opened();
    expect(['c', 'b'].map((uid) => firstOf(next, uid))).toEqual([196_608, 131_072]);
    next.release('a');
    expect(firstOf(next, 'd')).toBe(65_536);
  });

  it('refuses where the runtime has none', () => {
    const namespaces = opened(false);
    expect(() => namespaces.of(pod('a'))).toThrow(
      "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
    );
    expect(() => namespaces.of(pod('a', { runtimeClassName: 'kata' }))).toThrow(
      'RuntimeClass handler "kata" does not support user namespaces',
    );
  });
});

describe('inUserNamespace', () => {
  const container = {
    mounts: [{ containerPath: '/v', hostPath: '/h' }],
    linux: { resources: {}, securityContext: { namespaceOptions: { network: 'POD' } } },
  } as unknown as ContainerConfig;
  const sandboxWith = (namespaceOptions: object) =>
    ({ linux: { securityContext: { namespaceOptions } } }) as unknown as PodSandboxConfig;

  it('is that of the sandbox, for the container and what is mounted into it', () => {
    const usernsOptions = opened().of(pod('a'));
    const ids = [{ hostId: 65_536, containerId: 0, length: 65_536 }];
    expect(inUserNamespace(container, sandboxWith({ usernsOptions }))).toEqual({
      mounts: [{ containerPath: '/v', hostPath: '/h', uidMappings: ids, gidMappings: ids }],
      linux: {
        resources: {},
        securityContext: { namespaceOptions: { network: 'POD', usernsOptions } },
      },
    });
    expect(inUserNamespace(container, sandboxWith({}))).toBe(container);
  });
});
