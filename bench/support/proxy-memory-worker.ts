// `proxy-memory-worker.ts MODE SERVICES` in a network namespace of its own: an API server with that many Services, and a
// kube-proxy as a process of its own. Prints its figures as JSON.
import { fileURLToPath } from 'node:url';
import { filledApiServer, measureProxy } from './proxy-memory.ts';

const k8ts = fileURLToPath(new URL('../../bin/k8ts', import.meta.url));
const [mode = '', services = ''] = process.argv.slice(2);
const { kubeconfig } = await filledApiServer(Number(services));
console.log(JSON.stringify(await measureProxy(mode, kubeconfig, [k8ts])));
process.exit(0);
