import { rbacAuthorizer } from '../src/apiserver/authz/rbac.ts';
import { RbacIndex } from '../src/apiserver/authz/rbac-index.ts';
import { KindRegistry } from '../src/apiserver/kind-registry.ts';
import { parseRequestInfo } from '../src/apiserver/request-info.ts';
import { builtinKinds } from '../src/apiserver/resources/registry.ts';
import { State } from '../src/apiserver/state.ts';
import { encodeForStore } from '../src/apiserver/stored-object.ts';
import { MemoryStorage } from '../src/storage/memory.fake.ts';
import { realClock } from '../src/util/clock.ts';
import { silent } from '../src/util/log.ts';
import { printer } from './support/table.ts';

// Decisions of the RBAC authorizer with ever more bindings, of other users and of the one who asks. The floor is the
// same question to a map by name.

const SIZES = [10, 1000, 10_000];
const QUESTIONS = 200_000;
const GROUP = 'rbac.authorization.k8s.io';

async function authorizerWith(bindings: number) {
  const storage = new MemoryStorage(realClock);
  const put = (path: string, kind: string, metadata: object, more: object) =>
    storage.create(
      `/registry/${path}`,
      encodeForStore({ apiVersion: `${GROUP}/v1`, kind, metadata, ...more } as never),
    );
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }];
  await put('clusterroles/reader', 'ClusterRole', { name: 'reader' }, { rules });
  for (let i = 0; i < bindings; i++) {
    const [name, namespace] = [`b${i}`, `ns${i % 100}`];
    const subjects = [{ kind: 'User', apiGroup: GROUP, name: `user-${i}` }];
    const roleRef = { apiGroup: GROUP, kind: 'ClusterRole', name: 'reader' };
    const more = { roleRef, subjects };
    await put(`rolebindings/${namespace}/${name}`, 'RoleBinding', { name, namespace }, more);
  }
  const kinds = new KindRegistry(builtinKinds());
  const index = new RbacIndex({
    state: new State({ storage, kinds, clock: realClock, log: silent }),
    kinds,
  });
  await index.start();
  return rbacAuthorizer(index);
}

function rate(decide: (i: number) => unknown): number {
  for (let i = 0; i < QUESTIONS / 10; i++) decide(i);
  const began = performance.now();
  for (let i = 0; i < QUESTIONS; i++) decide(i);
  return QUESTIONS / ((performance.now() - began) / 1000);
}

const print = printer(['bindings', 'allowed/s', 'refused/s', 'us each', 'floor/s', 'floor ratio']);
for (const size of SIZES) {
  const authorizer = await authorizerWith(size);
  const path = '/api/v1/namespaces/ns7/pods/web';
  const info = parseRequestInfo('GET', path, new URLSearchParams());
  const write = parseRequestInfo('DELETE', path, new URLSearchParams());
  const user = { name: 'user-7', groups: ['system:authenticated', 'team'] };
  const allowed = rate(() => authorizer.authorize(user, info));
  const refused = rate(() => authorizer.authorize(user, write));
  const names = new Map(Array.from({ length: size }, (_, i) => [`user-${i}`, i]));
  const floor = rate(() => names.get(user.name));
  const figures = [allowed, refused].map((perSecond) => perSecond.toFixed(0));
  const micros = (1e6 / Math.min(allowed, refused)).toFixed(2);
  print([size, ...figures, micros, floor.toFixed(0), (floor / allowed).toFixed(1)]);
}
