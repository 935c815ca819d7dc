import { expect, it } from 'vitest';
import { unitText } from './unit.ts';

it('keeps every word of a command line as it was given', () => {
  const template = '# fills in @K8TS@ and @OPTIONS@\nExecStart=@K8TS@ up @OPTIONS@\n';
  const options = ['--node-ip', '10.0.0.1', '--audit-policy-file', '/etc/my policy 100%/$a"b.yaml'];
  expect(unitText(template, '/opt/k8ts/bin/k8ts', options).split('\n')[1]).toBe(
    'ExecStart=/opt/k8ts/bin/k8ts up --node-ip 10.0.0.1 --audit-policy-file "/etc/my policy 100%%/$$a\\"b.yaml"',
  );
});
