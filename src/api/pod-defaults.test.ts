import { expect, it } from 'vitest';
import { defaultPod, defaultPodTemplate } from './pod-defaults.ts';

const spec = () => ({ containers: [], terminationGracePeriodSeconds: -1 });

it('a negative grace period is a second for a Pod, and stays in a template', () => {
  const pod = { metadata: { name: 'p' }, spec: spec() };
  defaultPod(pod as never);
  expect(pod.spec.terminationGracePeriodSeconds).toBe(1);
  const template = { spec: spec() };
  defaultPodTemplate(template as never);
  expect(template.spec.terminationGracePeriodSeconds).toBe(-1);
});
