import { isAlreadyExists } from '../../src/api/errors.ts';
import { CONFIG_MAPS } from '../../src/api/resource-types.ts';
import { createClient } from '../../src/client/rest-client.ts';

// node steady-writer.ts KUBECONFIG PREFIX PER_SECOND: writes ConfigMaps at that rate until its input ends, each tried again
// until it is there. Then prints {"writes":[[name, milliseconds when acknowledged, tries], …], "failed": count}.

const [, , kubeconfig = '', prefix = '', rate = '50'] = process.argv;
const GIVE_UP_MS = 30_000;
const RETRY_MS = 100;

const client = await createClient(kubeconfig);
const writes: [string, number, number][] = [];
let failed = 0;
let count = 0;

async function write(name: string): Promise<void> {
  const deadline = Date.now() + GIVE_UP_MS;
  for (let tries = 1; ; tries++) {
    try {
      const metadata = { namespace: 'default', name };
      await client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
      writes.push([name, Date.now(), tries]);
      return;
    } catch (err) {
      // An attempt whose answer was lost has been done all the same.
      if (tries > 1 && isAlreadyExists(err)) {
        writes.push([name, Date.now(), tries]);
        return;
      }
      if (Date.now() > deadline) {
        failed++;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

const busy = new Set<Promise<void>>();
const timer = setInterval(() => {
  const work = write(`${prefix}-${count++}`).finally(() => busy.delete(work));
  busy.add(work);
}, 1000 / Number(rate));
process.stdin.resume();
process.stdin.once('end', async () => {
  clearInterval(timer);
  await Promise.all(busy);
  process.stdout.write(JSON.stringify({ writes, failed }), () => process.exit(0));
});
