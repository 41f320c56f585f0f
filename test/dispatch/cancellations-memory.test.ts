import { cancellationsContract } from '../contracts/cancellations.ts';
import { memoryCancellations } from '../fakes/cancellations.ts';

cancellationsContract('memory', async () => memoryCancellations());
