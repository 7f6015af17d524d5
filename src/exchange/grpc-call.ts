import type { IncomingMessage } from 'node:http'
import type { GrpcStatus } from '../errors/grpc-status'

/** What the gateway knows of a request that is a gRPC call. */
export interface GrpcCall {
  /** How the client is answered: gRPC, or one of the two forms of gRPC-Web. */
  form: 'grpc' | 'web' | 'web-text'
  /** The client's deadline (`grpc-timeout`), from the arrival of the request; undefined without one. */
  readonly timeoutMs: number | undefined
  /** Methods with series of their own; undefined if the route names none. */
  methods: ReadonlySet<string> | undefined
  /** How long the call may be silent in both directions. */
  idleMs: number
  /** The status that the client gets; undefined while it is not known. */
  status: GrpcStatus | undefined
  /** Trailers of the upstream's response, for an answer that has them in its body (gRPC-Web). */
  trailers: readonly (readonly [name: string, value: string])[]
}

/** Default idle timeout, as for WebSockets: calls that stream are silent for long by nature. */
export const DEFAULT_GRPC_IDLE_MS = 300_000

/** `application/grpc`, `application/grpc+proto`, `application/grpc;…`, but not `application/grpc-web`. */
const CONTENT_TYPE = /^application\/grpc(?:[+;]|$)/i

/** Returns whether the request is a gRPC call. gRPC needs the trailers of HTTP/2. */
export function isGrpc({ httpVersionMajor, headers }: IncomingMessage): boolean {
  if (httpVersionMajor !== 2) return false
  const type = headers['content-type']
  return type !== undefined && CONTENT_TYPE.test(type)
}

export function toGrpcCall({ headers }: IncomingMessage, form: GrpcCall['form'] = 'grpc'): GrpcCall {
  return {
    form,
    timeoutMs: parseGrpcTimeout(headers['grpc-timeout']),
    methods: undefined,
    idleMs: DEFAULT_GRPC_IDLE_MS,
    status: undefined,
    trailers: [],
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 }
/** The longest time of Node's timers, 24 days; a longer deadline is none. */
const LONGEST_MS = 2_147_483_647

/** Parses `grpc-timeout`: at most eight digits and a unit. Returns undefined for anything else. */
export function parseGrpcTimeout(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? []
  if (digits === undefined || unit === undefined) return undefined
  const ms = Number(digits) * (UNITS_MS[unit] as number)
  return ms > LONGEST_MS ? undefined : ms
}

/** Formats a timeout in milliseconds with at most eight digits. */
export function grpcTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms))
  return whole < 100_000_000 ? `${whole}m` : `${Math.ceil(whole / 1_000)}S`
}

const WEB_CONTENT_TYPE = /^application\/grpc-web(-text)?(?:[+;]|$)/i

/** Returns the form of a gRPC-Web request; undefined for other requests. */
export function grpcWebFormOf({ method, headers }: IncomingMessage): 'web' | 'web-text' | undefined {
  if (method !== 'POST') return undefined
  const found = WEB_CONTENT_TYPE.exec(headers['content-type'] ?? '')
  if (found === null) return undefined
  return found[1] === undefined ? 'web' : 'web-text'
}

/** Formats trailers as the last frame of a gRPC-Web body: flag, length, lines. */
export function grpcWebTrailers(trailers: GrpcCall['trailers']): Buffer {
  const lines = Buffer.from(trailers.map(([name, value]) => `${name.toLowerCase()}: ${value}\r\n`).join(''), 'latin1')
  const frame = Buffer.alloc(5)
  frame[0] = 0x80
  frame.writeUInt32BE(lines.length, 1)
  return Buffer.concat([frame, lines])
}

/**
 * Decodes base64 chunk by chunk. Each frame of a client may be padded by itself, so padding can stand anywhere.
 *
 * @returns a function that decodes the next chunk
 */
export function createBase64Decoder(): (chunk: Buffer) => Buffer {
  let rest = ''
  return function decodeBase64(chunk) {
    const text = rest + chunk.toString('latin1')
    const end = text.length - (text.length % 4)
    rest = text.slice(end)
    const parts = text.slice(0, end).match(/[^=]+={0,2}/g) ?? []
    return Buffer.concat(parts.map(part => Buffer.from(part, 'base64')))
  }
}
