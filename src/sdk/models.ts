/** Models of AI providers, for `step.ai.infer`: where a request goes, with which key, and in whose form it is (AI-3, AI-4). */
import { processVariables, type Variables } from './settings.ts';
import type {
  AnthropicAnswer,
  AnthropicRequest,
  ChatAnswer,
  ChatRequest,
  GeminiAnswer,
  GeminiRequest,
  ResponsesAnswer,
  ResponsesRequest,
} from './providers.ts';

/** A model, also one that is written by hand: the engine posts the body to `url`. */
export interface AiModel<Input = object, Output = unknown> {
  url: string;
  headers?: Record<string, string>;
  /** Sent as the format wants it, and never kept. */
  authKey: string;
  format: string;
  /** Completes a copy of the model and of the body before they are sent. */
  onCall?(model: AiModel, body: Input): void;
  /** For the compiler only. */
  '~types'?: { input: Input; output: Output };
}

/** Any model, whatever its types. */
export type AnyModel = Omit<AiModel<never>, '~types'> & { '~types'?: { input: object; output: unknown } };

interface ModelOptions<Input> {
  model: string;
  /** Default: the provider's usual variable, such as `OPENAI_API_KEY`. */
  apiKey?: string | undefined;
  /** Of an API in the same form elsewhere. Default: the provider's own. */
  baseUrl?: string | undefined;
  /** Of every request; what a request says itself wins. */
  defaultParameters?: Partial<Input> | undefined;
}

type Built<Input extends object, Output> = AiModel<Input, Output> & {
  headers: Record<string, string>;
  options: ModelOptions<Input>;
};

interface Provider {
  baseUrl: string;
  path: string;
  key: keyof Variables;
  format: string;
}

/** The forms of a request that have its model in the body. */
function model<Input extends { model?: string }, Output>(
  { baseUrl, path, key, format }: Provider,
  options: ModelOptions<Input>,
  headers: Record<string, string> = {},
): Built<Input, Output> {
  const { model: name, apiKey, defaultParameters } = options;
  return {
    url: urlOf(options.baseUrl ?? baseUrl, path),
    authKey: apiKey ?? processVariables()[key] ?? '',
    format,
    headers,
    options,
    onCall: (_, body) => void Object.assign(body, { model: name, ...defaultParameters, ...body }),
  };
}

export function openai(options: ModelOptions<ChatRequest>): Built<ChatRequest, ChatAnswer> {
  return model({ ...OPENAI, path: 'chat/completions', format: 'openai-chat' }, options);
}

export function openaiResponses(
  options: ModelOptions<ResponsesRequest>,
): Built<ResponsesRequest, ResponsesAnswer> {
  return model({ ...OPENAI, path: 'responses', format: 'openai-responses' }, options);
}

export function deepseek(options: ModelOptions<ChatRequest>): Built<ChatRequest, ChatAnswer> {
  const base = { baseUrl: 'https://api.deepseek.com/v1/', key: 'DEEPSEEK_API_KEY' } as const;
  return model({ ...base, path: 'chat/completions', format: 'openai-chat' }, options);
}

export function grok(options: ModelOptions<ChatRequest>): Built<ChatRequest, ChatAnswer> {
  const base = { baseUrl: 'https://api.x.ai/v1/', key: 'XAI_API_KEY' } as const;
  return model({ ...base, path: 'chat/completions', format: 'grok' }, options);
}

export function azureOpenai({
  endpoint,
  deployment,
  apiVersion,
  ...options
}: Omit<ModelOptions<ChatRequest>, 'baseUrl'> & {
  /** Such as `https://<resource>.openai.azure.com`. */
  endpoint: string;
  deployment: string;
  apiVersion: string;
}): Built<ChatRequest, ChatAnswer> {
  const path = `openai/deployments/${deployment}/chat/completions?api-version=${encodeURIComponent(apiVersion)}`;
  const provider = { baseUrl: endpoint, path, key: 'AZURE_OPENAI_API_KEY', format: 'azure-openai' } as const;
  const built = model<ChatRequest, ChatAnswer>(provider, options);
  return { ...built, headers: { 'api-key': built.authKey } };
}

/** A request needs `max_tokens`, from here or of its own. */
export function anthropic({
  betaHeaders = [],
  ...options
}: ModelOptions<AnthropicRequest> & {
  betaHeaders?: readonly string[] | undefined;
  defaultParameters: Partial<AnthropicRequest> & Required<Pick<AnthropicRequest, 'max_tokens'>>;
}): Built<AnthropicRequest, AnthropicAnswer> {
  const base = { baseUrl: 'https://api.anthropic.com/v1/', key: 'ANTHROPIC_API_KEY' } as const;
  return model({ ...base, path: 'messages', format: 'anthropic' }, options, {
    'anthropic-version': '2023-06-01',
    ...(betaHeaders.length === 0 ? {} : { 'anthropic-beta': betaHeaders.join(',') }),
  });
}

/** The model is part of the address; the engine adds the key. */
export function gemini(options: ModelOptions<GeminiRequest>): Built<GeminiRequest, GeminiAnswer> {
  const { model: name, baseUrl = 'https://generativelanguage.googleapis.com/v1beta/' } = options;
  const { generationConfig: config, ...defaults } = options.defaultParameters ?? {};
  return {
    url: urlOf(baseUrl, `models/${name}:generateContent`),
    authKey: options.apiKey ?? processVariables().GEMINI_API_KEY ?? '',
    format: 'gemini',
    headers: {},
    options,
    onCall: (_, body) => {
      const { generationConfig: own } = body;
      const merged =
        config === undefined && own === undefined ? {} : { generationConfig: { ...config, ...own } };
      Object.assign(body, { ...defaults, ...body, ...merged });
    },
  };
}

const OPENAI = { baseUrl: 'https://api.openai.com/v1/', key: 'OPENAI_API_KEY' } as const;

function urlOf(baseUrl: string, path: string): string {
  return new URL(path, baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`).href;
}

export const models = { anthropic, azureOpenai, deepseek, gemini, grok, openai, openaiResponses };
