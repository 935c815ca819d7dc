import { describe, expect, it } from 'vitest';
import { requestAttributes } from './request-attributes.ts';

describe('requestAttributes', () => {
  it.each([
    ['GET', '/pods', 'get', ['pods', 'proxy']],
    ['GET', '/runningpods/', 'get', ['pods', 'proxy']],
    ['GET', '/configz', 'get', ['configz', 'proxy']],
    ['GET', '/healthz', 'get', ['healthz', 'proxy']],
    ['GET', '/stats/summary', 'get', ['stats']],
    ['GET', '/metrics/cadvisor', 'get', ['metrics']],
    ['GET', '/logs/', 'get', ['log']],
    ['GET', '/containerLogs/ns/pod/c', 'get', ['proxy']],
    ['POST', '/checkpoint/ns/pod/c', 'create', ['checkpoint']],
    ['POST', '/run/ns/pod/c', 'create', ['proxy']],
    ['DELETE', '/anything', 'delete', ['proxy']],
  ])('%s %s asks for %s of %j', (method, path, verb, subresources) => {
    expect(requestAttributes(method, path)).toEqual({ verb, subresources });
  });

  it('takes the right to read nodes/proxy for no right to run commands (GET of a WebSocket)', () => {
    for (const path of [
      '/exec/ns/pod/c',
      '/attach/ns/pod/c',
      '/portForward/ns/pod',
      '/run/ns/pod/c',
      '//exec/ns/pod/c',
      '///attach//ns/pod/c',
    ]) {
      expect(requestAttributes('GET', path)).toEqual({ verb: 'create', subresources: ['proxy'] });
    }
  });
});
