/** Functions that take their time: sleeps, dates, schedules, and events for later. */
import { Inngest } from 'stepwell';
import { act } from './nursery.ts';

const inngest = new Inngest({ id: 'garden' });

const followUp = inngest.createFunction(
  { id: 'follow-up' },
  { event: 'garden/customer.visited' },
  async ({ event, step }) => {
    await step.sleep('wait-a-moment', '1 hour');
    await step.sleep('and-another', 30 * 60 * 1000);
    return step.run('write', () => act(`write to ${event.data.email}`));
  },
);

const openGate = inngest.createFunction(
  { id: 'open-gate' },
  { event: 'garden/season.planned' },
  async ({ event, step }) => {
    await step.sleepUntil('until-spring', '2060-03-01T08:00:00Z');
    await step.sleepUntil('until-the-day', event.data.opensAt);
    await step.sleepUntil('until-noon', new Date(Date.parse(event.data.opensAt) + 4 * 3_600_000));
    await step.sleepUntil('long-ago', '2059-01-01');
    await step.run('open', () => act('open'));
  },
);

/** Starts when its event says: at the `ts` of that. */
const remind = inngest.createFunction(
  { id: 'remind' },
  { event: 'garden/reminder.scheduled' },
  async ({ event }) => act('remind', event.data.of as string),
);

/** A digest for everybody, at noon on Fridays: this function finds out for whom, another one writes each. */
const planDigest = inngest.createFunction(
  { id: 'plan-digest' },
  { cron: 'TZ=Europe/Paris 0 12 * * 5' },
  async ({ event, step }) => {
    const members = await step.run('load-members', async () =>
      act('load', [
        { id: 'm1', email: 'one@garden.test' },
        { id: 'm2', email: 'two@garden.test' },
      ]),
    );
    const events = members.map((member) => ({
      name: 'garden/digest.due',
      data: { memberId: member.id, email: member.email },
    }));
    const { ids } = await step.sendEvent('send-digests', events);
    return { ids, cron: event.data.cron };
  },
);

const writeDigest = inngest.createFunction(
  { id: 'write-digest' },
  { event: 'garden/digest.due' },
  async ({ event }) => {
    const { email, memberId } = event.data;
    act(`digest to ${email}`);
    return memberId as string;
  },
);

export const time = { client: inngest, functions: [followUp, openGate, remind, planDigest, writeDigest] };
