/** Functions that wait for people: campaigns, approvals, choices. */
import { Inngest } from 'stepwell';
import { act } from './nursery.ts';

const inngest = new Inngest({ id: 'club' });

/** A welcome, then by what the member does within three days either tips or a nudge. */
const onboarding = inngest.createFunction(
  { id: 'onboarding' },
  { event: 'club/member.joined' },
  async ({ event, step }) => {
    await step.run('welcome', async () => act(`welcome ${event.user.email}`));
    const planted = await step.waitForEvent('wait-for-first-plant', {
      event: 'club/plant.planted',
      timeout: '3d',
      match: 'data.memberId',
    });
    if (!planted) {
      await step.run('nudge', async () => act(`nudge ${event.user.email}`));
    } else {
      await step.run('tips', async () => act(`tips on ${planted.data.plant}`));
    }
  },
);

/** A sequence whose next part depends on an earlier result: that is written into the expression, quoted. */
const campaign = inngest.createFunction(
  { id: 'campaign' },
  { event: 'club/trial.started' },
  async ({ event, step }) => {
    const { mailId } = await step.run('send-offer', async () =>
      act('offer', { mailId: `mail-${event.data.memberId}` }),
    );
    const opened = await step.waitForEvent('wait-for-click', {
      event: 'mail/link.clicked',
      if: `async.data.mailId == "${mailId}" && async.data.link != 'unsubscribe'`,
      timeout: '3 days',
    });
    if (opened) {
      await step.sleep('not-at-once', '1 day');
      await step.run('send-tips', async () => act('tips'));
      await step.sleep('one-more-day', '1 day');
    }
    const plan = await step.run('read-plan', () => act('plan', event.data.plan as string));
    if (plan !== 'full') await step.run('send-reminder', async () => act('reminder'));
  },
);

/** One of two is enough, and each must say yes in time. */
const approve = inngest.createFunction(
  { id: 'approve' },
  { event: 'club/expense.filed' },
  async ({ event, step }) => {
    const votes = await Promise.all(
      ['chair', 'treasurer'].map((who) =>
        step.waitForEvent(`wait-for-${who}`, {
          event: 'club/expense.decided',
          timeout: '7d',
          if: `event.data.expenseId == async.data.expenseId && async.data.by == '${who}'`,
        }),
      ),
    );
    const yes = votes.filter((vote) => vote?.data.approved === true).length;
    return yes > 0 ? `${event.data.expenseId} is paid` : 'nothing is paid';
  },
);

export const waiting = { client: inngest, functions: [onboarding, campaign, approve] };
