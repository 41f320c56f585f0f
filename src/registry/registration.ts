/**
 * An app's registration as it comes over the wire (wire 2.3, 2.4): read, checked, and turned into what the engine keeps. Members that
 * are not known are left out, so that newer SDKs can still sync (FN-10); anything else that is wrong refuses all of it (FN-9).
 */
import * as z from 'zod';
import { isObject, jsonDepth, parseJson } from '../lib/json.ts';
import { type FunctionConfig, remoteFunctionConfig } from '../protocol/function.ts';
import { limits } from '../protocol/limits.ts';
import type { AppRecord } from '../ports.ts';
import { checkWritten, duplicates, type Found } from './check.ts';
import { spelled } from './names.ts';
import { wireFunction } from './wire-function.ts';

export interface Registration {
  app: Omit<AppRecord, 'syncedAt' | 'archivedAt'>;
  functions: FunctionConfig[];
}

/** Why a registration is not taken; the message is for the developer who reads the SDK's output. */
export class RegistrationRefused extends Error {
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

const text = z.string({ error: 'expected a string' });
const list = z.array(z.unknown(), { error: 'expected a list' });

const registration = z.object({
  url: text,
  appName: text.default(''),
  appVersion: text.optional(),
  sdk: text.default(''),
  framework: text.optional(),
  platform: text.optional(),
  headers: z.object({ platform: text.optional() }, { error: 'expected an object' }).optional(),
  // Without it everything would be archived (AP-35).
  functions: list,
});

/** The same in the answer to an in-band sync (AP-31). */
const answer = z.object({ app_id: text, sdk_language: text, sdk_version: text }).loose();

/** The body of `POST /fn/register`. */
export function readRegistration(body: string): Registration {
  return read(fromJson(body));
}

/** The body of an answer to an in-band sync. */
export function readAnswer(body: string): Registration {
  const parsed = answer.safeParse(fromJson(body));
  if (!parsed.success) throw invalid(parsed.error);
  const { app_id: appName, sdk_language: language, sdk_version: version, ...rest } = parsed.data;
  return read({ ...rest, appName, sdk: `${language}:v${version}` });
}

function fromJson(body: string): unknown {
  if (jsonDepth(body, limits.eventDepth) > limits.eventDepth) {
    throw new RegistrationRefused('Invalid request: the body is nested too deep');
  }
  const value = parseJson(body);
  if (value === undefined) throw new RegistrationRefused('Invalid request: the body is not valid JSON');
  if (!isObject(value)) return value;
  // How Go writes an empty list.
  const functions = Object.entries(value).some(isNoFunctions) ? { functions: [] } : {};
  return { ...functions, ...(spelled(value) as object) };
}

function isNoFunctions([name, member]: [string, unknown]): boolean {
  return name.toLowerCase() === 'functions' && member === null;
}

function read(value: unknown): Registration {
  const parsed = registration.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error);
  const { appName: id, url, sdk, framework, appVersion, functions, headers } = parsed.data;
  if (id === '') throw new RegistrationRefused('App ID required');
  if ([...id].length > limits.appId) {
    throw new RegistrationRefused(`App ID is longer than ${limits.appId} characters (AP-4)`);
  }
  refuseVersion(sdk);
  const platform = parsed.data.platform ?? headers?.platform;
  return {
    app: {
      id,
      url: appUrl(url),
      sdk,
      framework: framework === undefined || framework === '' ? null : framework,
      platform: platform === undefined || platform === '' ? null : platform,
      appVersion: appVersion ?? null,
    },
    functions: checked(id, functions),
  };
}

function invalid({ issues }: z.ZodError): RegistrationRefused {
  const problems = issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  return new RegistrationRefused(`Invalid request: ${problems.join('; ')}`);
}

function checked(appId: string, written: unknown[]): FunctionConfig[] {
  const found = written.map((one, index): Found => {
    const { config, problems } = wireFunction(one);
    const own = checkWritten(appId, config, index, remoteFunctionConfig);
    return { ...own, problems: [...problems.map((line) => `${own.label}: ${line}`), ...own.problems] };
  });
  const problems = [...found.flatMap(({ problems: own }) => own), ...duplicates(found)];
  if (problems.length > 0) throw invalidFunctions(problems);
  return found.flatMap(({ config }) => config ?? []);
}

/** @param problems `<function id>: <option>: <reason>` each. */
export function invalidFunctions(problems: readonly string[]): RegistrationRefused {
  return new RegistrationRefused(['At least one function is invalid', ...problems].join('\n'));
}

/** What every call sets itself, and what a sync brought along (AP-23a). */
const OWN_PARAMETERS = ['fnId', 'stepId', 'step', 'deployId'];

/** AP-28. Whether its host may be called is for whoever calls it, and for the route to say. */
function appUrl(written: string): string {
  if (!URL.canParse(written)) throw new RegistrationRefused('Invalid request: url: expected an absolute URL');
  const url = new URL(written);
  if (/^wss?:$/.test(url.protocol)) {
    throw new RegistrationRefused('Invalid request: url: apps that connect do not register here');
  }
  if (!/^https?:$/.test(url.protocol)) {
    throw new RegistrationRefused('Invalid request: url: expected http or https');
  }
  if (url.username !== '' || url.password !== '') {
    throw new RegistrationRefused('Invalid request: url: expected one without credentials');
  }
  for (const name of OWN_PARAMETERS) url.searchParams.delete(name);
  url.hash = '';
  return url.href;
}

const JAVASCRIPT = /^(?:inngest-)?js:v(\d+)\.(\d+)\.(\d+)/;

/** Versions that a security advisory warns of (wire 2.5). */
function refuseVersion(sdk: string): void {
  const [, ...parts] = JAVASCRIPT.exec(sdk) ?? [];
  const [major = 0, minor = 0, patch = 0] = parts.map(Number);
  if (major !== 3 || minor < 22 || minor > 53 || (minor === 53 && patch > 1)) return;
  throw new RegistrationRefused(
    'Versions 3.22.0 to 3.53.1 of the TypeScript SDK have a security advisory: use 3.53.2 or later',
    'sdk_version_denied',
  );
}
