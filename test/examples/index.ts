import { cancelling } from './cancelling.ts';
import { errors } from './errors.ts';
import { invoking } from './invoking.ts';
import { middleware } from './middleware.ts';
import { sending } from './sending.ts';
import { steps } from './steps.ts';
import { time } from './time.ts';
import { typed } from './typed.ts';
import { waiting } from './waiting.ts';

/** The documented patterns, written against the SDK as its users write them. */
export const examples = [
  steps,
  errors,
  time,
  waiting,
  sending,
  cancelling,
  typed,
  ...invoking,
  ...middleware,
];
