import { readdirSync } from 'node:fs';

/** `npm run bench -- NAME` runs bench/NAME.ts, which prints our figure beside the floor that it is judged against. */
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'bench.ts')
  .map((file) => file.slice(0, -'.ts'.length));
const [, , name = ''] = process.argv;
if (!names.includes(name))
  throw new Error(`There is no benchmark '${name}'; there are: ${names.join(', ')}`);
process.argv.splice(2, 1);
await import(`./${name}.ts`);
