/** What this deployment runs. Add a function here, and `wrangler deploy` it. */
import { inngest } from './client.ts';
import { importFile } from './import.ts';
import { processOrder } from './order.ts';
import { salesReport } from './report.ts';

export const apps = [{ client: inngest, functions: [processOrder, salesReport, importFile] }];
