import { Command } from 'commander';
import { judgeControls, readCluster, type Verdict } from '../../cluster/cis.ts';
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

const WORDS: Record<Verdict, string> = {
  pass: 'PASS',
  fail: 'FAIL',
  'n/a': 'N/A',
  look: 'MANUAL',
};

function cis(root: string): void {
  const found = judgeControls(readCluster(pathsUnder(root)));
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
