/** `POST /v0/gql`: GraphQL, for the tests of SDKs and what else speaks it (wire 9.9). */
import {
  type DocumentNode,
  execute,
  FieldsOnCorrectTypeRule,
  FragmentsOnCompositeTypesRule,
  GraphQLError,
  KnownArgumentNamesRule,
  KnownFragmentNamesRule,
  KnownTypeNamesRule,
  NoFragmentCyclesRule,
  NoUndefinedVariablesRule,
  parse,
  PossibleFragmentSpreadsRule,
  ProvidedRequiredArgumentsRule,
  ScalarLeafsRule,
  TypeInfo,
  ValidationContext,
  ValuesOfCorrectTypeRule,
  VariablesAreInputTypesRule,
  VariablesInAllowedPositionRule,
  visit,
  visitInParallel,
  visitWithTypeInfo,
} from 'graphql';
import { Hono } from 'hono';
import * as z from 'zod';
import { readBody } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { root, type Scope } from './graphql/query.ts';
import { schema } from './graphql/schema.ts';

/** Bound what one request can ask for. */
const MAX_TOKENS = 2_000;
const MAX_FIELDS = 20;
const MAX_PROBLEMS = 20;

/** What a query may get wrong. `validate` of the library brings the rules for the text of a schema along, and as much again. */
const RULES = [
  FieldsOnCorrectTypeRule,
  FragmentsOnCompositeTypesRule,
  KnownArgumentNamesRule,
  KnownFragmentNamesRule,
  KnownTypeNamesRule,
  NoFragmentCyclesRule,
  NoUndefinedVariablesRule,
  PossibleFragmentSpreadsRule,
  ProvidedRequiredArgumentsRule,
  ScalarLeafsRule,
  ValuesOfCorrectTypeRule,
  VariablesAreInputTypesRule,
  VariablesInAllowedPositionRule,
];

const request = z.object({
  query: z.string({ error: 'expected a query' }),
  variables: z.record(z.string(), z.unknown()).nullish(),
  operationName: z.string().nullish(),
});

export function gqlRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.post('/v0/gql', async (c) => c.json(await answer(deps, c)));
  return routes;
}

/** Whatever is wrong with the operation is part of the answer; only what is no request has another status. */
async function answer(deps: ApiDeps, c: ApiContext): Promise<object> {
  const { query, variables, operationName } = await readBody(c, request);
  const document = parsed(query);
  if (document instanceof GraphQLError) return { errors: [document] };
  const problems = problemsOf(document);
  if (problems.length > 0) return { errors: problems.slice(0, MAX_PROBLEMS) };
  const fields = document.definitions.flatMap((one) =>
    one.kind === 'OperationDefinition' ? one.selectionSet.selections : [],
  );
  if (fields.length > MAX_FIELDS)
    return { errors: [new GraphQLError(`expected at most ${MAX_FIELDS} fields at the top`)] };
  const contextValue: Scope = { deps, c };
  const result = await execute({
    schema,
    document,
    rootValue: root,
    contextValue,
    variableValues: variables ?? {},
    operationName: operationName ?? null,
  });
  return { ...result, ...(result.errors && { errors: result.errors.map((error) => shown(deps, error)) }) };
}

function parsed(query: string) {
  try {
    return parse(query, { maxTokens: MAX_TOKENS, noLocation: true });
  } catch (error) {
    return error instanceof GraphQLError ? error : new GraphQLError('the query cannot be read');
  }
}

function problemsOf(document: DocumentNode): GraphQLError[] {
  const problems: GraphQLError[] = [];
  const types = new TypeInfo(schema);
  const context = new ValidationContext(schema, document, types, (problem) => problems.push(problem));
  visit(document, visitWithTypeInfo(types, visitInParallel(RULES.map((rule) => rule(context)))));
  return problems;
}

/** What failed inside of us is logged, and not told. */
function shown({ log }: ApiDeps, error: GraphQLError): GraphQLError {
  const { originalError, path } = error;
  if (originalError == null || originalError instanceof GraphQLError) return error;
  log.error('api: a field could not be resolved', { path: path?.join('.'), error: originalError });
  return new GraphQLError('internal error', path === undefined ? {} : { path });
}
