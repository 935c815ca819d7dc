import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { parseYaml } from '../../api/yaml.ts';
import { admissionConfigurationOf } from '../../apiserver/admission-configuration.ts';
import { auditDecision, auditPolicyOf } from '../../apiserver/audit-policy.ts';
import { type ClusterFacts, judgeControls, type Verdict } from '../../cluster/cis.ts';
import { readCluster } from '../../cluster/cis-reading.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { rootOption } from '../options.ts';
import { formatTable } from '../table.ts';

/** `k8ts audit cis`: the running cluster beside the CIS Kubernetes Benchmark. */
export function command(): Command {
  const audit = new Command().description('Compare the running cluster with published rules.');
  audit
    .command('cis')
    .summary('every control of the CIS Kubernetes Benchmark, with its verdict and the reason')
    .addOption(rootOption())
    .action(({ root }: { root: string }) => cis(root));
  return audit;
}

const WORDS: Record<Verdict, string> = { pass: 'PASS', fail: 'FAIL', 'n/a': 'N/A' };

async function cis(root: string): Promise<void> {
  const cluster = await readCluster(pathsUnder(root));
  const flags = cluster.flags.get('apiserver');
  const found = judgeControls({
    ...cluster,
    auditLevel: await auditLevels(flags?.get('audit-policy-file')),
    podSecurityDefault: await podSecurityDefault(flags?.get('admission-control-config-file')),
  });
  const rows = found.map(({ id, subject, verdict, reason }) => [
    id,
    WORDS[verdict],
    subject,
    reason,
  ]);
  process.stdout.write(`${formatTable([['CONTROL', 'RESULT', 'SUBJECT', 'REASON'], ...rows])}\n`);
  const counts = (Object.keys(WORDS) as Verdict[]).map(
    (verdict) => `${found.filter((one) => one.verdict === verdict).length} ${WORDS[verdict]}`,
  );
  process.stdout.write(`${counts.join(', ')} of ${found.length}\n`);
}

/** How much is recorded of what an administrator does. */
async function auditLevels(file: string | undefined): Promise<ClusterFacts['auditLevel']> {
  if (file === undefined) return undefined;
  const policy = auditPolicyOf(await parseYaml(readFileSync(file, 'utf8')));
  const user = { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
  return (kind) => {
    const place = { path: '', isResource: true, version: 'v1', namespace: 'default' };
    return auditDecision(policy, user, { ...place, ...kind, name: 'x', rest: '' }).level;
  };
}

async function podSecurityDefault(
  file: string | undefined,
): Promise<ClusterFacts['podSecurityDefault']> {
  if (file === undefined) return 'privileged';
  const parse = (path: string) => parseYaml(readFileSync(resolve(dirname(file), path), 'utf8'));
  const { podSecurity } = await admissionConfigurationOf(await parse(file), parse);
  return podSecurity?.defaults.enforce.level ?? 'privileged';
}
