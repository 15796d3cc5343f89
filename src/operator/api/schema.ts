/** The part of JSON Schema that the OpenAPI file uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly enum?: readonly string[];
}

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly about: string;
  readonly schema: Schema;
  readonly required?: boolean;
}

export const string: Schema = { type: 'string' };
export const integer: Schema = { type: 'integer' };
export const number: Schema = { type: 'number' };
export const boolean: Schema = { type: 'boolean' };
export const textOrNull: Schema = { type: ['string', 'null'] };
export const array = (items: Schema): Schema => ({ type: 'array', items });
export const oneOf = (...values: readonly string[]): Schema => ({ type: 'string', enum: values });

/** An object with exactly these members, all required. */
export const object = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** What does not fit a schema, as paths with reasons; empty when all does. */
export function misfits(value: unknown, schema: Schema, at = '$'): string[] {
  const type = typeOf(value);
  const types =
    schema.type === undefined ? [] : typeof schema.type === 'string' ? [schema.type] : schema.type;
  if (types.length > 0 && !types.includes(type) && !(type === 'integer' && types.includes('number')))
    return [`${at} is ${type}, not ${types.join(' or ')}`];
  const out: string[] = [];
  if (schema.enum !== undefined && !schema.enum.includes(value as string))
    out.push(`${at} is not one of ${schema.enum.join(', ')}`);
  if (type === 'array' && schema.items !== undefined)
    for (const [i, v] of (value as unknown[]).entries()) out.push(...misfits(v, schema.items, `${at}[${i}]`));
  if (type !== 'object') return out;
  const members = value as Record<string, unknown>;
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(members, name)) out.push(`${at}.${name} is missing`);
  for (const [name, v] of Object.entries(members)) {
    const known = schema.properties?.[name];
    if (known !== undefined) out.push(...misfits(v, known, `${at}.${name}`));
    else if (schema.additionalProperties === false) out.push(`${at}.${name} is not described`);
    else if (typeof schema.additionalProperties === 'object')
      out.push(...misfits(v, schema.additionalProperties, `${at}.${name}`));
  }
  return out;
}
