import { describe, expect, it } from 'vitest';
import { haproxyConfig } from './load-balancer.ts';

describe('haproxyConfig', () => {
  const servers = ['192.0.2.1:6443', '[fd00::2]:6443'];

  it('names each server, asks each whether it is ready, and hands connections on as they are', () => {
    const text = haproxyConfig({ bind: '*:6443', servers });
    expect(text).toContain('bind *:6443\n');
    expect(text).toContain('server 192.0.2.1 192.0.2.1:6443\n');
    expect(text).toContain('server fd00--2 [fd00::2]:6443\n');
    expect(text).toContain('http-check send meth GET uri /readyz');
    expect(text).toMatch(/mode tcp/);
    expect(text).toContain('check-ssl verify none');
  });

  it('checks servers by an authority when it is given', () => {
    const text = haproxyConfig({ bind: '*:6443', servers, caFile: '/etc/k8ts/pki/ca.crt' });
    expect(text).toContain('check-ssl verify required ca-file /etc/k8ts/pki/ca.crt');
  });
});
