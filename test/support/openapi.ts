/** What there is to ask for and what is answered, as `/openapi.json` says it. */
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

/** As much of JSON Schema as the document uses. */
export interface JsonSchema {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'null' | 'array' | 'object'
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly pattern?: string
  readonly default?: unknown
}

export interface Parameter {
  readonly name: string
  readonly in: 'path' | 'query' | 'header'
  readonly required?: boolean
  readonly schema: JsonSchema
}

export interface Operation {
  readonly method: string
  /** `/v1/security-groups/{securityGroupId}` */
  readonly path: string
  readonly parameters: readonly Parameter[]
  /** Schemas of bodies, keyed by media type; empty for a request without body. */
  readonly bodies: ReadonlyMap<string, JsonSchema>
  /** A body in JSON as somebody might send it, where the document has one. */
  readonly example?: unknown
  /** Schemas of JSON answers, keyed by status. */
  readonly answers: ReadonlyMap<number, JsonSchema>
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>
}

interface OperationObject {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Content }
  readonly responses?: Readonly<Record<string, { readonly content?: Content }>>
}

type Content = Readonly<Record<string, { readonly schema?: JsonSchema; readonly example?: unknown }>>

/** Every operation of the document, in its order. */
export function operationsOf(document: OpenApiDocument): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses = {} }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      example: requestBody?.content['application/json']?.example,
      bodies: new Map(Object.entries(requestBody?.content ?? {}).map(([type, { schema = {} }]) => [type, schema])),
      answers: new Map(
        Object.entries(responses).flatMap(([status, { content }]) => {
          const schema = content?.['application/json']?.schema
          return schema === undefined ? [] : [[Number(status), schema] as const]
        }),
      ),
    })),
  )
}

/** Compares answers with what the document promises of them. */
export class AnswerChecker {
  readonly #operations: readonly { readonly operation: Operation; readonly path: RegExp }[]
  readonly #compiled = new WeakMap<JsonSchema, ReturnType<typeof Compile>>()

  constructor(operations: readonly Operation[]) {
    // A path without parameters goes before one that would match it too.
    const sorted = operations.toSorted((a, b) => countParameters(a) - countParameters(b))
    this.#operations = sorted.map(operation => ({
      operation,
      path: new RegExp(`^${operation.path.replace(/\{\w+\}/g, '[^/]+')}$`),
    }))
  }

  /** @param url  with query or without. @returns undefined for a path that the document does not have */
  operationOf(method: string, url: string): Operation | undefined {
    const [asked = ''] = url.split('?')
    return this.#operations.find(({ operation, path }) => operation.method === method && path.test(asked))?.operation
  }

  /** @returns what is wrong with the answer; null where nothing is, or the document does not speak of it */
  faultOf(
    method: string,
    url: string,
    { status, body }: { readonly status: number; readonly body: unknown },
  ): string | null {
    const schema = this.operationOf(method, url)?.answers.get(status)
    if (schema === undefined) return null
    const checker = this.#compiled.get(schema) ?? Compile(schema as TSchema)
    this.#compiled.set(schema, checker)
    if (checker.Check(body)) return null
    return `an answer other than its schema: ${JSON.stringify(checker.Errors(body).slice(0, 3))}`
  }
}

function countParameters({ path }: Operation): number {
  return path.split('{').length
}
