import type { Json } from './envelope.js';
import type { Schema } from './schema.js';
import type { V1Route } from './v1-route.js';

const MEANINGS: Readonly<Record<number, string>> = {
  400: 'a parameter or the body cannot be read',
  401: 'name or password are missing or wrong',
  403: 'the address, host, origin or role may not do this',
  404: 'there is nothing there',
  409: 'the state does not allow it',
  422: 'a value is not allowed',
  501: 'only the ledger’s own side knows it, which this relay does not have yet',
};

const error: Schema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: { code: { type: 'string' }, message: { type: 'string' } },
      required: ['code', 'message'],
    },
  },
  required: ['error'],
};

const asJson = (schema: Schema): Json => JSON.parse(JSON.stringify(schema)) as Json;
const content = (schema: Schema): Json => ({ 'application/json': { schema: asJson(schema) } });

function operation(route: V1Route): Json {
  const inPath = /\{(\w+)\}$/.exec(route.path)?.[1];
  const parameters: Json[] = (route.parameters ?? []).map((p) => ({
    name: p.name,
    in: p.in,
    description: p.about,
    required: p.required === true,
    schema: asJson(p.schema),
  }));
  if (inPath !== undefined)
    parameters.push({ name: inPath, in: 'path', required: true, schema: { type: 'string' } });
  const responses: Record<string, Json> = {
    '200': { description: 'done', content: content(route.answer) },
  };
  for (const status of [401, 403]) responses[String(status)] = { description: MEANINGS[status]! };
  for (const status of route.refusals ?? [])
    responses[String(status)] = { description: MEANINGS[status]!, content: content(error) };
  return {
    summary: route.about,
    operationId: `${route.method.toLowerCase()}${route.path.replace(/^\/v1/, '').replace(/[^a-zA-Z]+(\w)?/g, (_m, c: string | undefined) => (c ?? '').toUpperCase())}`,
    description: `Role: ${route.role}.`,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: content(route.body) } }),
    responses,
    security: [{}, { basic: [] }],
  };
}

/** The OpenAPI 3.1 file of `/v1`, made from the routes themselves. */
export function openApiDocument(routes: readonly V1Route[]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const r of routes) {
    paths[r.path] ??= {};
    paths[r.path]![r.method.toLowerCase()] = operation(r);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Starling relay, operator API', version: '1' },
    paths,
    components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } },
  };
}
