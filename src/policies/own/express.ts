import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { z } from 'zod'
import { toError } from '../../errors/error-code'
import { ANSWERED, hasBody, type Exchange, type Stage } from '../../exchange/exchange'
import { completeLocalReply } from '../../exchange/local-reply'
import { definePolicy, type RegistryEntry } from '../define-policy'
import { guardHooks } from './guarded-hooks'

/** Express middleware: a function, or a Router. */
export type Middleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => unknown

/** How long middleware may take to call `next()` or to begin a response. */
const TIMEOUT_MS = 30_000

/** Express middleware of one's own, mounted on a route. `mountMiddleware` gives it the loaded modules. */
export const express = definePolicy({
  name: 'express',
  schema: z
    .string()
    .min(1)
    .meta({
      description:
        'A module whose default export is Express middleware for this route, relative to the main file ([more](extending.md#express-middleware)).',
      value: 'path',
      examples: ['./middleware.ts'],
    })
    .optional(),
  example: `
# Express middleware of our own (extending.md).
- name: legacy
  match: { host: legacy.shop.example, path: / }
  upstream: web
  express: examples/no-cache.mts
`,
  hasSideEffects: true,
  refuses: () => ['policy_failed'],
  describe: path => [{ about: 'changes', subject: 'express', text: `Express middleware ${path}` }],
})

/** Replaces the policy in a registry by one that runs the loaded middleware, by path as written. */
export function mountMiddleware(
  entries: readonly RegistryEntry[],
  loaded: ReadonlyMap<string, Middleware>,
): readonly RegistryEntry[] {
  const mounted: typeof express = {
    ...express,
    create: (path, { log, route, hasUpstream }) =>
      guardHooks({ name: 'express', timeoutMs: TIMEOUT_MS }, { log, route: route.name }, () => ({
        onRequest: runMiddleware(loaded.get(path) as Middleware, hasUpstream),
      })),
  }
  return entries.map(entry => (entry === express ? mounted : entry))
}

/** Returns what is wrong with the exports of a module; undefined if its default is middleware. */
export function problemWithMiddleware(module: object): string | undefined {
  const { default: exported } = module as { readonly default?: unknown }
  if (typeof exported !== 'function') return 'has no function as its default export'
  if (exported.length > 3) return 'exports an error handler, which has four parameters'
  // An app sets the prototypes of every request and response to its own.
  if ('set' in exported && 'engine' in exported) return 'exports an app'
  return undefined
}

function runMiddleware(middleware: Middleware, hasUpstream: boolean): Stage {
  return function runExpressMiddleware(exchange) {
    const { request, response } = exchange
    // A policy before it may have read the body and put it back.
    const wasRead = request.readableDidRead
    return new Promise((resolve, reject) => {
      const end = (): void => resolve(ANSWERED)
      const leave = (): void => {
        response.off('close', end)
        // The gateway writes the response from here on.
        delete (response as Partial<ServerResponse>).writeHead
      }
      const fail = (error: unknown): void => {
        // What it has set for its own answer does not belong to that of the gateway.
        if (!response.headersSent) for (const name of response.getHeaderNames()) response.removeHeader(name)
        reject(toError(error))
      }
      const proceed = (error?: unknown): void => {
        leave()
        // `route` and `router` are Express' words for "skip the rest", and there is no rest.
        if (error && error !== 'route' && error !== 'router') return fail(error)
        if (hasUpstream && hasBody(request) && (request.readableEnded || request.readableDidRead !== wasRead)) {
          return fail(new Error('it has read the body of the request, which cannot be forwarded any more'))
        }
        resolve()
      }
      response.once('close', end)
      completeAnswer(exchange, end)
      try {
        const result = middleware(request, response, proceed)
        if (result instanceof Promise) result.catch(proceed)
      } catch (error) {
        proceed(error)
      }
    })
  }
}

type Fields = OutgoingHttpHeaders | readonly OutgoingHttpHeader[]

/** Gives an answer of middleware what every local reply has: fields of limits and CORS, the request id, the route's edits. */
function completeAnswer(exchange: Exchange, onAnswer: () => void): void {
  const { response } = exchange
  const writeHead = response.writeHead.bind(response) as (
    status: number,
    phrase: string,
    fields: string[],
  ) => typeof response
  response.writeHead = function writeCompleteHead(status: number, ...rest: (string | Fields | undefined)[]) {
    delete (response as Partial<ServerResponse>).writeHead
    const phrase = typeof rest[0] === 'string' ? rest[0] : ''
    const fields = takeFields(response)
    addFields(
      fields,
      rest.find(one => typeof one === 'object'),
    )
    // An error answer of the gateway, after the middleware has failed, is complete already.
    if (exchange.outcome === 'ok') completeLocalReply(exchange, status, fields)
    const head = writeHead(status, phrase, fields)
    onAnswer()
    return head
  }
}

/** Takes the fields that were set with `setHeader` as flat name, value pairs. */
function takeFields(response: ServerResponse): string[] {
  const fields: string[] = []
  for (const [name, value] of Object.entries(response.getHeaders())) {
    addField(fields, name, value)
    response.removeHeader(name)
  }
  return fields
}

function addFields(fields: string[], more: Fields | undefined): void {
  if (more === undefined) return
  const pairs = Array.isArray(more) ? pairsOf(more) : Object.entries(more)
  for (const [name] of pairs) {
    // What is written with the head replaces what was set before.
    for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i] === name.toLowerCase()) fields.splice(i, 2)
  }
  for (const [name, value] of pairs) addField(fields, name.toLowerCase(), value)
}

function pairsOf(flat: readonly unknown[]): [string, OutgoingHttpHeader | undefined][] {
  const pairs: [string, OutgoingHttpHeader | undefined][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([String(flat[i]), flat[i + 1] as OutgoingHttpHeader])
  return pairs
}

function addField(fields: string[], name: string, value: OutgoingHttpHeader | undefined): void {
  if (value === undefined) return
  for (const one of [value].flat()) fields.push(name, String(one))
}
