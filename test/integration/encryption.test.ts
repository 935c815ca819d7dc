import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SECRETS } from '../../src/api/resource-types.ts';
import { encryptionRulesOf } from '../../src/apiserver/encryption-rules.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';

const key = (name: string) => ({ name, secret: randomBytes(32).toString('base64') });

const rules = (providers: object[]) =>
  encryptionRulesOf({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources: ['secrets', 'configmaps'], providers }],
  });

const SECRET = '/api/v1/namespaces/default/secrets';
const [old, next] = [key('old'), key('next')];

describe.each(['aescbc', 'aesgcm', 'secretbox'])('encryption at rest by %s', (provider) => {
  let server: TestApiServer;
  const stored = async (name: string) =>
    (await server.storage.get(`/registry/secrets/default/${name}`))?.value ?? Buffer.alloc(0);
  beforeAll(async () => {
    server = await startApiServer({
      encryption: rules([{ [provider]: { keys: [old] } }, { identity: {} }]),
    });
  });
  afterAll(() => server.stop());

  it('seals what is written, and serves it as before', async () => {
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { password: 'correct-horse' },
    };
    expect((await server.request('POST', SECRET, { body })).status).toBe(201);
    const watch = server.watch(`${SECRET}?watch=1`);
    const [event] = await watch.first(1);
    expect(event?.object.data.password).toBe(Buffer.from('correct-horse').toString('base64'));
    watch.close();
    const value = await stored('s');
    expect(value.toString('latin1').startsWith(`k8s:enc:${provider}:v1:old:`)).toBe(true);
    expect(value.includes('password')).toBe(false);
    expect((await server.storage.get('/registry/namespaces/default'))?.value[0]).toBe(0x7b);
  });

  it('changes keys: a write of the same object seals it anew', async () => {
    const providers = [{ [provider]: { keys: [next, old] } }, { identity: {} }];
    server.apiServer.useEncryption(rules(providers));
    const { body } = await server.request('GET', `${SECRET}/s`);
    expect((await server.request('PUT', `${SECRET}/s`, { body })).status).toBe(200);
    const text = (await stored('s')).toString('latin1');
    expect(text.startsWith(`k8s:enc:${provider}:v1:next:`)).toBe(true);
    server.apiServer.useEncryption(rules([{ [provider]: { keys: [next] } }, { identity: {} }]));
    expect((await server.request('GET', `${SECRET}/s`)).body.data.password).toBeTruthy();
  });
});

describe('encryptionRulesOf', () => {
  it('refuses what it cannot do, without telling keys', () => {
    expect(() => rules([{ kms: { name: 'k' } }])).toThrow('the provider kms is not supported');
    const short = { name: 'k', secret: Buffer.from('too short').toString('base64') };
    expect(() => rules([{ secretbox: { keys: [short] } }])).toThrow(
      'must be 32 bytes in base64, is 9',
    );
    expect(() => rules([{ secretbox: { keys: [short] } }])).not.toThrow(short.secret);
  });
});

describe('a cluster', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
  });
  afterAll(() => plane.stop());

  it('has no plain secret in any file of its store', async () => {
    await plane.client.create(SECRETS, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'default', name: 's' },
      data: { password: Buffer.from('correct-horse-battery').toString('base64') },
    });
    const store = join(plane.root, 'var/lib/k8ts/store');
    const files = readdirSync(store, { recursive: true, encoding: 'utf8' })
      .map((name) => join(store, name))
      .filter((file) => statSync(file).isFile());
    const all = Buffer.concat(files.map((file) => readFileSync(file)));
    // The name is in the key of the entry: these are the files.
    expect(all.includes('/registry/secrets/default/s')).toBe(true);
    expect(all.includes('correct-horse-battery')).toBe(false);
    expect(all.includes(Buffer.from('correct-horse-battery').toString('base64'))).toBe(false);
  });
});
