/**
 * The apps of the engine's conformance tests, one for each official SDK. Python and Go are installed and built on first use, into the
 * cache of node_modules; where the machine lacks one of them its part is skipped, and says why. In CI nothing may be skipped.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from './engine.ts';

const APPS = join(import.meta.dirname, 'apps');
const CACHE = join(import.meta.dirname, '../../node_modules/.cache/conformance');

/** A program, or why there is none. */
export type Found = Program | string;

export function typescript(name: string, id: string): Found {
  return { command: process.execPath, arguments: ['typescript.ts', name, id], path: '/api/inngest' };
}

export function python(id: string): Found {
  const folder = join(CACHE, 'python');
  const command = join(folder, 'bin/python');
  return made('python3', { command, arguments: ['python.py', id], path: '/api/inngest' }, () => {
    if (existsSync(join(folder, 'installed'))) return;
    run('python3', ['-m', 'venv', folder]);
    run(command, ['-m', 'pip', 'install', '--quiet', '--requirement', join(APPS, 'requirements.txt')]);
    mkdirSync(join(folder, 'installed'));
  });
}

export function go(id: string): Found {
  const command = join(CACHE, 'go-app');
  return made('go', { command, arguments: [id], path: '/api/inngest' }, () => {
    run('go', ['build', '-o', command, '.'], join(APPS, 'golang'));
  });
}

function made(tool: string, program: Program, make: () => void): Found {
  try {
    execFileSync(tool, [tool === 'go' ? 'version' : '--version'], { stdio: 'ignore' });
  } catch {
    return missing(`there is no ${tool} here`);
  }
  try {
    make();
    return program;
  } catch (error) {
    return missing(
      `its SDK could not be installed: ${String((error as { stderr?: unknown }).stderr ?? error)}`,
    );
  }
}

function missing(reason: string): string {
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

function run(command: string, args: string[], cwd: string = APPS): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}
