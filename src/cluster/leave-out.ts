import { run } from '../host/exec.ts';
import type { Clock } from '../util/clock.ts';
import type { SelfCommand } from './components.ts';
import { readIfExists } from './files.ts';
import type { Paths } from './paths.ts';
import { savedSettings, settingsFile } from './prepare.ts';
import type { ClusterSettings } from './settings.ts';
import { adopt, findLeftBehind, stop } from './supervised-process.ts';

const STOP_GRACE_MS = 15_000;
const WITHIN_MS = 60_000;
const PROXY = 'kube-proxy';

/**
 * Ends the proxy of a node that is to have none any more, and takes its rules out of the kernel: they would go on without it,
 * and catch what another's are for. Where the node had none before, whatever rules there are belong to that other one.
 */
export async function endProxy(
  paths: Paths,
  settings: Pick<ClusterSettings, 'disabled'>,
  deps: { clock: Clock; self: SelfCommand; progress: (line: string) => void },
): Promise<void> {
  if (readIfExists(settingsFile(paths)) === undefined) return;
  const before = savedSettings(paths);
  if (before.disabled.includes(PROXY) || !settings.disabled.includes(PROXY)) return;
  const left = findLeftBehind('proxy', paths.run);
  if (left) await stop(adopt(left.identity, deps.clock), STOP_GRACE_MS, deps.clock);
  const { program, args } = deps.self;
  await run(program, [...args, 'proxy', '--cleanup'], { timeoutMs: WITHIN_MS });
  deps.progress('The proxy is left out, and its rules are removed');
}
