import { describe, expect, test } from 'vitest';
import { readOptions } from '../../src/dev/options.ts';

const none = { apps: [], discovers: true, pollInterval: 5, port: null, help: false, rest: [] };

describe('what npm run dev is told', () => {
  test.each([
    ['nothing', [], {}],
    ['an app', ['--app', 'http://a/api'], { apps: ['http://a/api'] }],
    [
      'several, in every spelling (DS-6)',
      ['-u', 'http://a', '--sdk-url=http://b?x=1', '--app=http://c'],
      { apps: ['http://a', 'http://b?x=1', 'http://c'] },
    ],
    ['not to look for any (DS-7)', ['--no-discovery'], { discovers: false }],
    ['how often to look', ['--poll-interval', '0'], { pollInterval: 0 }],
    ['a port', ['-p', '9000'], { port: 9000 }],
    ['to explain itself (DS-8)', ['--help'], { help: true }],
    [
      'things for wrangler',
      ['--config', 'a.toml', '--local', '--port', '1'],
      { port: 1, rest: ['--config', 'a.toml', '--local'] },
    ],
  ])('%s', (_, args, change) => {
    expect(readOptions(args)).toEqual({ ...none, ...change });
  });

  test.each([
    [['--app', 'nonsense'], '--app: expected the URL of an app'],
    [['--app'], '--app: expected the URL of an app'],
    [['--port', 'x'], '--port: expected a whole number'],
    [['--poll-interval=-1'], '--poll-interval: expected a whole number'],
  ])('%j is refused', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});
