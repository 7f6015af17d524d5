import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { definePolicy, z } from 'myesi-gateway'

interface Operation {
  readonly parameters?: readonly {
    readonly name: string
    readonly in: string
    readonly required?: boolean
    readonly schema: object
  }[]
  readonly requestBody?: {
    readonly required?: boolean
    readonly content: Readonly<Record<string, { readonly schema: object }>>
  }
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components?: object
}

/** Validates query and JSON body against an OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12. */
export default definePolicy({
  name: 'openapi-requests',
  schema: z.strictObject({ document: z.string() }), // JSON, relative to the working directory
  timeoutMs: 10_000,
  describe: ({ document }) => `requests as in ${document}`,
  create: ({ document }) => {
    const api = JSON.parse(readFileSync(document, 'utf8')) as Document
    const bodies = new Ajv2020({ strict: false, allErrors: false })
    const queries = new Ajv2020({ strict: false, coerceTypes: 'array' }) // in a query everything is a string
    // `#/components/schemas/…` is found below the schema that is compiled.
    const withComponents = (schema: object): object => ({ ...schema, components: api.components ?? {} })
    const operations = Object.entries(api.paths).flatMap(([template, methods]) =>
      Object.entries(methods).map(([method, { parameters = [], requestBody }]) => {
        const query = parameters.filter(parameter => parameter.in === 'query')
        const body = requestBody?.content['application/json']?.schema
        return {
          method: method.toUpperCase(),
          path: new RegExp(`^${template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{[^}]+\}/g, '[^/]+')}$`),
          needsBody: requestBody?.required === true,
          body: body && bodies.compile(withComponents(body)),
          query: queries.compile(
            withComponents({
              type: 'object',
              properties: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
              required: query.filter(({ required }) => required).map(({ name }) => name),
            }),
          ),
        }
      }),
    )
    return {
      async onRequest(context) {
        const wrong = (what: string, validate?: ValidateFunction) => {
          const { instancePath = '', message = what } = validate?.errors?.[0] ?? {}
          const body = JSON.stringify({
            title: 'Invalid request',
            status: 400,
            detail: `${what}${instancePath}: ${message}`,
          })
          return context.respond({ status: 400, headers: { 'content-type': 'application/problem+json' }, body })
        }
        const operation = operations.find(({ method, path }) => method === context.method && path.test(context.path))
        if (operation === undefined) return context.refuse('no_route', 'not in the document')
        if (!operation.query(Object.fromEntries(new URLSearchParams(context.query))))
          return wrong('query', operation.query)
        if (operation.body === undefined) return undefined
        const bytes = await context.readBody(1024 * 1024)
        if (bytes.length === 0) return operation.needsBody ? wrong('body') : undefined
        let value: unknown
        try {
          value = JSON.parse(bytes.toString())
        } catch {
          return wrong('body')
        }
        return operation.body(value) ? undefined : wrong('body', operation.body)
      },
    }
  },
})
