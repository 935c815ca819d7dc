import { Command } from 'commander';
import { importImage, listImages } from '../../cluster/images.ts';
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
  return images;
}
