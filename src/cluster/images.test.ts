import { describe, expect, it } from 'vitest';
import { parseContainerImages, unusedImages } from './images.ts';

const image = (name: string, digest: string) => ({ name, digest, size: '1 MiB' });

describe('unusedImages', () => {
  it('answers every name of an image that no container uses, and none that came with k8ts', () => {
    const images = [
      image('registry.test/a:1', 'one'),
      image('registry.test/a:latest', 'one'),
      image('registry.test/b:1', 'two'),
      image('sha256:2222', 'two'),
      image('localhost/k8ts/pause:1', 'three'),
      image('sha256:3333', 'three'),
    ];
    expect(unusedImages(images, new Set(['registry.test/a:latest']))).toEqual([
      'registry.test/b:1',
      'sha256:2222',
    ]);
  });
});

describe('parseContainerImages', () => {
  it('reads the second column', () => {
    const table = `CONTAINER    IMAGE                     RUNTIME
abc          localhost/k8ts/web:1      io.containerd.runc.v2
`;
    expect([...parseContainerImages(table)]).toEqual(['localhost/k8ts/web:1']);
  });
});
