import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { aborted } from '../util/lifecycle.ts';

const SETTLE_MS = 100;

/** The text of one file, as it was last read. */
export interface FollowedFile {
  current(): string;
  /** Calls back after each change. */
  onChange(listener: () => void): void;
  /** Follows the file until aborted. */
  follow(onError: (err: unknown) => void, signal: AbortSignal): Promise<void>;
}

/** Reads a file that may change. */
export async function followedFile(file: string): Promise<FollowedFile> {
  const listeners: (() => void)[] = [];
  let current = await readFile(file, 'utf8');
  return {
    current: () => current,
    onChange: (listener) => {
      listeners.push(listener);
    },
    follow(onError, signal) {
      const onChange = ([text = '']: string[]) => {
        current = text;
        for (const listener of listeners) listener();
      };
      return followFiles([file], { known: [current], onChange, onError }, signal);
    },
  };
}

interface FollowHandlers {
  /** The texts that are in use, where they were read before: what has changed since then is a change. */
  readonly known?: readonly string[] | undefined;
  readonly onChange: (texts: string[]) => void;
  readonly onError: (err: unknown) => void;
}

/**
 * Calls `onChange` with the texts of files whenever one of them has changed, until aborted. Files that are replaced as
 * a whole, and links that are turned, count as changed. What cannot be read or used is told to `onError` and left alone.
 */
export async function followFiles(
  files: readonly string[],
  handlers: FollowHandlers,
  signal: AbortSignal,
): Promise<void> {
  const read = () => Promise.all(files.map((file) => readFile(file, 'utf8')));
  let known = (handlers.known ?? (await read())).join('\0');
  let timer: NodeJS.Timeout | undefined;
  // One after the other: what was read last must count last.
  let turn = Promise.resolve();
  const check = async (): Promise<void> => {
    const texts = await read();
    if (texts.join('\0') === known) return;
    // Remembered first: what cannot be used now will not get better by itself.
    known = texts.join('\0');
    handlers.onChange(texts);
  };
  const changed = () => {
    // Certificate and key are written one after the other.
    clearTimeout(timer);
    timer = setTimeout(() => {
      turn = turn.then(check).catch(handlers.onError);
    }, SETTLE_MS);
  };
  const watchers = [...new Set(files.map(dirname))].map((directory) => watch(directory, changed));
  for (const watcher of watchers) watcher.on('error', handlers.onError);
  // What was written before the watch began.
  changed();
  await aborted(signal);
  clearTimeout(timer);
  for (const watcher of watchers) watcher.close();
}
