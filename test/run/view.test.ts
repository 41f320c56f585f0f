/** A run as people and APIs see it. */
import { describe, expect, test } from 'vitest';
import { runSummary, runTrace, runView } from '../../src/run/view.ts';
import { boom, config, given, NOW } from './words.ts';

const texts = (data: Record<number, unknown>) => ({
  output: () => null,
  stepData: (seq: number) => (seq in data ? JSON.stringify(data[seq]) : null),
  stepInput: () => null,
});

describe('a run', () => {
  test.each([
    ['executing', 'Running'],
    ['parked, s sleeping +5', 'Running'],
    ['parked, due +5, unstarted', 'Running'],
    ['executing, cancelling, a running', 'Running'],
    ['Completed', 'Completed'],
    ['Failed', 'Failed'],
    ['Cancelled', 'Cancelled'],
  ])('%s: %s (RN-2, RN-3)', (words, status) => {
    expect(runView(given(words), null).status).toBe(status);
  });

  test('has times, output and the events that started it', () => {
    expect(runView(given('Completed'), '{"n":1}')).toEqual({
      runId: config.runId,
      env: config.env,
      functionId: config.functionId,
      eventIds: ['event'],
      status: 'Completed',
      queuedAt: NOW,
      startedAt: NOW,
      endedAt: NOW,
      output: { n: 1 },
    });
  });

  test('is summed up only when it has ended', () => {
    expect(runSummary(given('executing'), null)).toBeNull();
    expect(runSummary(given('Completed'), '1')).toMatchObject({
      status: 'Completed',
      eventId: 'event',
      output: '1',
    });
  });

  test('leaves an output over 32 K to the object', () => {
    const text = (length: number) => JSON.stringify('x'.repeat(length - 2));
    expect(runSummary(given('Completed'), text(32 * 1024))?.output).not.toBeNull();
    expect(runSummary(given('Completed'), text(32 * 1024 + 1))?.output).toBeNull();
  });
});

describe('what it waits for', () => {
  test.each([
    ['parked, due +5, unstarted', [{ reason: 'start', until: NOW + 5 }]],
    ['parked, entry 2, attempt 1, due +5', [{ reason: 'retry', until: NOW + 5 }]],
    ['parked, s sleeping +5', [{ reason: 'sleep', until: NOW + 5 }]],
    ['parked, a retrying 1 +5', [{ reason: 'retry', until: NOW + 5 }]],
    ['executing, a retrying 1 -1 running', []],
    ['executing, a running', []],
    ['Cancelled, s sleeping +5, a retrying 1 +5', []],
    ['Cancelled, due +5', []],
  ])('%s', (words, waiting) => {
    expect(runTrace(given(words), texts({})).waiting).toEqual(waiting);
  });
});

describe('its steps', () => {
  test.each([
    ['executing, a running', 'Running', 1],
    ['executing, a retrying 2 -1 running', 'Running', 3],
    ['parked, a retrying 2 +5', 'Waiting', 2],
    ['parked, a sleeping +5', 'Waiting', 1],
    ['executing, a ok', 'Completed', 1],
  ])('%s: %s, attempt %i', (words, status, attempts) => {
    expect(runTrace(given(words), texts({ 0: null })).steps).toMatchObject([{ name: 'a', status, attempts }]);
  });

  test('come in the order of their rows, with outputs and errors', () => {
    const trace = runTrace(
      given('executing, a ok, b failed, c sleeping +5, d running'),
      texts({ 0: [1], 1: boom }),
    );
    expect(trace.steps.map((step) => [step.name, step.status, step.output, step.error])).toEqual([
      ['a', 'Completed', [1], null],
      ['b', 'Failed', null, boom],
      ['c', 'Waiting', null, null],
      ['d', 'Running', null, null],
    ]);
  });

  test('count refused answers', () => {
    const state = given('executing, a ok');
    const step = state.steps.get('a');
    if (step !== undefined) state.steps.set('a', { ...step, late: 2 });
    expect(runTrace(state, texts({ 0: 1 })).steps[0]?.late).toBe(2);
  });
});
