import { v3 } from './sdks.ts';
import { typescriptSuite } from './typescript.ts';

typescriptSuite(await v3());
