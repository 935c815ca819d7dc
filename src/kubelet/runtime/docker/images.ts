import type Docker from 'dockerode';
import { RpcError } from '../../../util/grpc.ts';
import type { AuthConfig, ContainerRuntime, Image } from '../runtime.ts';
import type { Engine } from './engine.ts';
import { orUndefined } from './errors.ts';

type ImageCalls = Pick<
  ContainerRuntime,
  'listImages' | 'imageStatus' | 'pullImage' | 'removeImage' | 'imageFsInfo'
>;

export function imageCalls({ docker, facts }: Engine): ImageCalls {
  return {
    async listImages() {
      return (await docker.listImages()).map((one) => ({
        id: one.Id,
        repoTags: known(one.RepoTags),
        repoDigests: known(one.RepoDigests),
        size: one.Size,
        uid: null,
        username: '',
        pinned: known(one.RepoTags).includes(facts.pauseImage),
      }));
    },
    async imageStatus({ image }) {
      const found = await orUndefined(docker.getImage(image).inspect());
      return found && imageOf(found);
    },
    async pullImage({ image }, auth) {
      const stream = await docker.pull(image, auth ? { authconfig: authOf(auth) } : {});
      await finished(docker, stream);
      const pulled = await docker.getImage(image).inspect();
      return pulled.RepoDigests[0] ?? pulled.Id;
    },
    async removeImage({ image }) {
      const found = await orUndefined(docker.getImage(image).inspect());
      if (!found) return;
      // An image of several names goes only when each of them is taken away.
      const names = [...known(found.RepoTags), ...known(found.RepoDigests)];
      for (const name of names.length > 0 ? names : [found.Id]) {
        await orUndefined(docker.getImage(name).remove({ force: false }));
      }
    },
    async imageFsInfo() {
      const [{ DockerRootDir }, usage] = await Promise.all([docker.info(), docker.df()]);
      const value = Number((usage as { LayersSize?: number }).LayersSize ?? 0);
      return [
        {
          timestamp: Date.now() * 1e6,
          fsId: { mountpoint: DockerRootDir as string },
          usedBytes: { value },
          inodesUsed: null,
        },
      ];
    },
  };
}

const known = (names: readonly string[] | null | undefined): string[] =>
  (names ?? []).filter((name) => !name.startsWith('<none>'));

function imageOf(found: Docker.ImageInspectInfo): Image {
  const [user = ''] = (found.Config.User ?? '').split(':');
  const uid = /^\d+$/.test(user) ? { value: Number(user) } : null;
  return {
    id: found.Id,
    repoTags: known(found.RepoTags),
    repoDigests: known(found.RepoDigests),
    size: found.Size,
    uid,
    username: uid ? '' : user,
    pinned: false,
  };
}

function authOf(auth: AuthConfig): Docker.AuthConfigObject {
  const decoded = auth.auth ? Buffer.from(auth.auth, 'base64').toString('utf8') : '';
  const [username = '', ...password] = decoded.split(':');
  return {
    username: auth.username ?? username,
    password: auth.password ?? password.join(':'),
    serveraddress: auth.serverAddress ?? '',
    ...(auth.identityToken ? { identitytoken: auth.identityToken } : {}),
  } as Docker.AuthConfigObject;
}

/** A pull that fails tells so at the end of a stream that began well. */
function finished(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (err: Error | null) => {
      if (err) reject(new RpcError('PullImage', 'UNKNOWN', err.message, err));
      else resolve();
    });
  });
}
