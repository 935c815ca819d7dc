import { Command } from 'commander';
import {
  importImage,
  listImages,
  loadBundle,
  pruneImages,
  saveImages,
} from '../../cluster/images.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { rootOption } from '../options.ts';

/** `k8ts images`: what the cluster's containerd holds. */
export function command(): Command {
  const images = new Command().description("Look at and fill the cluster's own image store.");
  images
    .command('import')
    .summary('put image archives (docker save, OCI layout) into the store')
    .argument('<archives...>')
    .addOption(rootOption())
    .action(async (archives: string[], { root }: { root: string }) => {
      for (const archive of archives) {
        const lines = await importImage(pathsUnder(root), archive);
        process.stdout.write(`${lines.join('\n')}\n`);
      }
    });
  images
    .command('list')
    .summary('list the images of the store')
    .addOption(rootOption())
    .action(async ({ root }: { root: string }) => {
      for (const { name, digest, size } of await listImages(pathsUnder(root))) {
        process.stdout.write(`${name}  ${digest}  ${size}\n`);
      }
    });
  images
    .command('prune')
    .summary('remove the images that no container uses')
    .addOption(rootOption())
    .action(async ({ root }: { root: string }) => {
      const names = await pruneImages(pathsUnder(root));
      process.stdout.write(names.map((name) => `${name}\n`).join(''));
    });
  images
    .command('save')
    .summary('write images of the store into one archive')
    .argument('<names...>')
    .requiredOption('-o, --output <archive>', 'the file to write')
    .addOption(rootOption())
    .action(async (names: string[], { root, output }: { root: string; output: string }) => {
      await saveImages(pathsUnder(root), output, names);
    });
  images
    .command('load')
    .summary(
      'import archives, and again whenever the store is made anew (for machines without a registry)',
    )
    .argument('<archives...>')
    .addOption(rootOption())
    .action(async (archives: string[], { root }: { root: string }) => {
      for (const archive of archives) {
        const lines = await loadBundle(pathsUnder(root), archive);
        process.stdout.write(`${lines.join('\n')}\n`);
      }
    });
  return images;
}
