/** Requests and answers of AI providers, as far as most code reads them; what is not named here is sent and handed on all the same. */

/** Members that a provider has added since. */
type More = Record<string, unknown>;

interface Failure {
  message: string;
  type?: string;
  code?: string | number | null;
}

interface ToolCall {
  id: string;
  type: string;
  function: { name: string; arguments: string };
}

type ChatMessage =
  | { role: 'system' | 'developer'; content: string; name?: string }
  | { role: 'user'; content: string | ({ type: string } & More)[]; name?: string }
  | {
      role: 'assistant';
      content?: string | ({ type: string } & More)[] | null;
      name?: string;
      tool_calls?: ToolCall[];
    }
  | { role: 'tool'; content: string; tool_call_id?: string };

/** OpenAI's chat completions, and what others have in that form. */
export interface ChatRequest extends More {
  model?: string;
  messages: ChatMessage[];
  temperature?: number | null;
  top_p?: number | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  n?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  tools?: {
    type: 'function';
    function: { name: string; description?: string; parameters?: More; strict?: boolean };
  }[];
  tool_choice?: 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } };
  response_format?: { type: string } & More;
  /** Answers are not streamed (AI-10). */
  stream?: false | null;
}

export interface ChatAnswer {
  id: string;
  object: string;
  created: number;
  model: string;
  error?: Failure;
  choices: {
    index: number;
    finish_reason: string;
    message: { role: string; content: string | null; refusal?: string | null; tool_calls?: ToolCall[] };
  }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

export interface ResponsesRequest extends More {
  model?: string;
  input?: string | ({ type?: string } & More)[];
  instructions?: string | null;
  temperature?: number;
  max_output_tokens?: number | null;
  tools?: ({ type: string } & More)[];
  previous_response_id?: string | null;
  stream?: false;
}

export interface ResponsesAnswer {
  id: string;
  object: string;
  created_at: number;
  status: string;
  model: string;
  error?: Failure | null;
  output: ({ type: string; content?: ({ type: string; text?: string } & More)[] } & More)[];
  usage?: { input_tokens: number; output_tokens: number; total_tokens: number } | null;
}

type AnthropicBlock =
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: unknown };

export interface AnthropicRequest extends More {
  model?: string;
  max_tokens?: number;
  messages: { role: 'user' | 'assistant'; content: string | ({ type: string } & More)[] }[];
  system?: string | { type: 'text'; text: string }[];
  temperature?: number;
  top_k?: number;
  top_p?: number;
  stop_sequences?: string[];
  tools?: { name: string; description?: string; input_schema: { type: 'object' } & More }[];
  tool_choice?: { type: 'auto' | 'any' } | { type: 'tool'; name: string };
  stream?: false;
}

export interface AnthropicAnswer {
  id: string;
  type: 'message' | 'error';
  role: 'assistant';
  model: string;
  content: AnthropicBlock[];
  stop_reason: string | null;
  stop_sequence: string | null;
  error?: Failure;
  usage: { input_tokens: number; output_tokens: number };
}

type GeminiPart =
  | { text: string }
  | { inlineData: { data: string; mimeType: string } }
  | { functionCall: { name: string; args: More } }
  | { functionResponse: { name: string; response: More } };

interface GeminiContent {
  role?: 'user' | 'model' | 'system';
  parts: GeminiPart[];
}

export interface GeminiRequest extends More {
  contents: GeminiContent[];
  systemInstruction?: GeminiContent;
  generationConfig?: {
    temperature?: number;
    topP?: number;
    topK?: number;
    maxOutputTokens?: number;
    stopSequences?: string[];
    responseMimeType?: string;
  } & More;
  tools?: More[];
  toolConfig?: More;
  safetySettings?: { category: string; threshold: string }[];
}

export interface GeminiAnswer {
  candidates?: { content: GeminiContent; finishReason?: string }[];
  error?: Failure;
  usageMetadata?: { promptTokenCount?: number; candidatesTokenCount?: number; totalTokenCount?: number };
}
