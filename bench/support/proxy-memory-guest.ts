// `proxy-memory-guest.ts MODE PORT` in an emulated machine whose host has the API server at that port: a kube-proxy there. Prints
// its figures as JSON.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { measureProxy } from './proxy-memory.ts';

const [mode = '', port = ''] = process.argv.slice(2);
const here = (name: string) => join(import.meta.dirname, name);
// The same port, so that the server's certificate and the kubeconfig are right as they are.
const relay = [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, `TCP:10.0.2.2:${port}`];
spawn('socat', relay, { stdio: 'inherit' });
const k8ts = [process.execPath, here('cli.js')];
console.log(JSON.stringify(await measureProxy(mode, here('kubeconfig'), k8ts)));
process.exit(0);
