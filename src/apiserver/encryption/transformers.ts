import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** How values of some resources lie in the store. */
export interface Transformer {
  /** What its values begin with, upstream's: `k8s:enc:aescbc:v1:key1:`. Empty: as they are. */
  readonly prefix: Buffer;
  /** `path` is bound to the value where the algorithm can: it cannot be moved to another key. */
  seal(plain: Buffer, path: string): Buffer;
  /** Of what follows the prefix. Throws when it was not sealed with this key. */
  open(sealed: Buffer, path: string): Buffer;
}

export const identity: Transformer = {
  prefix: Buffer.alloc(0),
  seal: (plain) => plain,
  open: (sealed) => sealed,
};

const prefixOf = (type: string, key: string): Buffer => Buffer.from(`k8s:enc:${type}:v1:${key}:`);

const BLOCK = 16;

/** AES-CBC with PKCS#7 padding; 16, 24 or 32 bytes of key. */
export function aescbc(name: string, key: Buffer): Transformer {
  const cipher = `aes-${key.length * 8}-cbc`;
  return {
    prefix: prefixOf('aescbc', name),
    seal(plain) {
      const iv = randomBytes(BLOCK);
      const sealing = createCipheriv(cipher, key, iv);
      return Buffer.concat([iv, sealing.update(plain), sealing.final()]);
    },
    open(sealed) {
      const opening = createDecipheriv(cipher, key, sealed.subarray(0, BLOCK));
      return Buffer.concat([opening.update(sealed.subarray(BLOCK)), opening.final()]);
    },
  };
}

const GCM_NONCE = 12;
const GCM_TAG = 16;

/** AES-GCM, bound to the value's path; 16, 24 or 32 bytes of key. */
export function aesgcm(name: string, key: Buffer): Transformer {
  const cipher = `aes-${key.length * 8}-gcm` as 'aes-256-gcm';
  return {
    prefix: prefixOf('aesgcm', name),
    seal(plain, path) {
      const nonce = randomBytes(GCM_NONCE);
      const sealing = createCipheriv(cipher, key, nonce);
      sealing.setAAD(Buffer.from(path));
      const sealed = Buffer.concat([sealing.update(plain), sealing.final()]);
      return Buffer.concat([nonce, sealed, sealing.getAuthTag()]);
    },
    open(sealed, path) {
      const opening = createDecipheriv(cipher, key, sealed.subarray(0, GCM_NONCE));
      opening.setAAD(Buffer.from(path));
      opening.setAuthTag(sealed.subarray(-GCM_TAG));
      const body = sealed.subarray(GCM_NONCE, -GCM_TAG);
      return Buffer.concat([opening.update(body), opening.final()]);
    },
  };
}

const BOX_NONCE = 24;

/** XSalsa20-Poly1305 (NaCl's secretbox); 32 bytes of key. */
export function secretbox(name: string, key: Buffer): Transformer {
  return {
    prefix: prefixOf('secretbox', name),
    seal(plain) {
      const nonce = randomBytes(BOX_NONCE);
      return Buffer.concat([nonce, xsalsa20poly1305(key, nonce).encrypt(plain)]);
    },
    open(sealed) {
      const cipher = xsalsa20poly1305(key, sealed.subarray(0, BOX_NONCE));
      return Buffer.from(cipher.decrypt(sealed.subarray(BOX_NONCE)));
    },
  };
}
