import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer } from './answer'

/** Limits of delays and sizes: any client that reaches the upstream may ask for anything. */
const MAX_DELAY_MS = 60_000
const MAX_CHUNKS = 1_000
const MAX_BYTES = 100 * 1024 * 1024
/** Longer bodies are echoed by size and checksum only. */
const MAX_ECHOED_BYTES = 64 * 1024

/** `/status/503`: that status. */
export const answerStatus: Answer = (_request, response, argument) => {
  const status = Number(argument)
  if (!Number.isInteger(status) || status < 200 || status > 599) return refuse(response, 'a status from 200 to 599')
  if (status === 204 || status === 205 || status === 304) return void response.writeHead(status).end()
  sendJson(response, status, { status })
}

/** `/delay/800`: 200 after this many milliseconds. */
export const answerDelayed: Answer = async (_request, response, argument) => {
  const ms = boundedNumber(argument, 0, MAX_DELAY_MS)
  if (ms === undefined) return refuse(response, `milliseconds from 0 to ${MAX_DELAY_MS}`)
  await pause(response, ms)
  sendJson(response, 200, { delayed_ms: ms })
}

/** `/stream?chunks=5&interval=200`: a chunked body, one line at a time. */
export const answerStream: Answer = async (_request, response, _argument, query) => {
  const chunks = boundedNumber(query.get('chunks') ?? '5', 1, MAX_CHUNKS)
  const interval = boundedNumber(query.get('interval') ?? '200', 0, MAX_DELAY_MS)
  if (chunks === undefined || interval === undefined) return refuse(response, `chunks from 1 to ${MAX_CHUNKS}`)
  response.writeHead(200, { 'content-type': 'text/plain' })
  for (let number = 1; number <= chunks; number++) {
    if (number > 1) await pause(response, interval)
    await write(response, `chunk ${number} of ${chunks}\n`)
  }
  response.end()
}

/** `/sse?events=5&interval=1000`: server-sent events with ids. */
export const answerEvents: Answer = async (_request, response, _argument, query) => {
  const events = boundedNumber(query.get('events') ?? '5', 1, MAX_CHUNKS)
  const interval = boundedNumber(query.get('interval') ?? '1000', 0, MAX_DELAY_MS)
  if (events === undefined || interval === undefined) return refuse(response, `events from 1 to ${MAX_CHUNKS}`)
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  for (let id = 1; id <= events; id++) {
    if (id > 1) await pause(response, interval)
    await write(response, `id: ${id}\nevent: tick\ndata: {"tick":${id},"of":${events}}\n\n`)
  }
  response.end()
}

/** `/bytes/1000000`: a body of that length. */
export const answerBytes: Answer = async (_request, response, argument) => {
  const length = boundedNumber(argument, 0, MAX_BYTES)
  if (length === undefined) return refuse(response, `a length from 0 to ${MAX_BYTES}`)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length })
  const block = Buffer.alloc(64 * 1024, 'x')
  for (let left = length; left > 0; left -= block.length) await write(response, block.subarray(0, left))
  response.end()
}

/** `/fail?rate=0.5&status=500`: fails by chance. */
export const answerFailing: Answer = (_request, response, _argument, query) => {
  const rate = Number(query.get('rate') ?? '0.5')
  const status = boundedNumber(query.get('status') ?? '500', 400, 599)
  if (!(rate >= 0 && rate <= 1) || status === undefined) return refuse(response, 'a rate from 0 to 1')
  const failed = Math.random() < rate
  sendJson(response, failed ? status : 200, { failed, rate })
}

/** `/echo` and every other path: the request as received, after the gateway's changes. */
export const answerEcho: Answer = async (request, response) => {
  const { size, sha256, text } = await readBody(request)
  sendJson(response, 200, {
    method: request.method,
    url: request.url,
    headers: request.headers,
    body: { bytes: size, sha256, ...(text === undefined ? {} : { text }) },
  })
}

async function readBody(request: IncomingMessage): Promise<{ size: number; sha256: string; text: string | undefined }> {
  const hash = createHash('sha256')
  let size = 0
  let kept: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
    if (size <= MAX_ECHOED_BYTES) kept.push(chunk)
    else kept = []
  }
  const text = size > 0 && size <= MAX_ECHOED_BYTES ? Buffer.concat(kept).toString('utf8') : undefined
  return { size, sha256: hash.digest('hex'), text }
}

/** Waits, but ends early if the client disconnects. */
async function pause(response: ServerResponse, ms: number): Promise<void> {
  const gone = new AbortController()
  const abort = (): void => gone.abort()
  response.once('close', abort)
  try {
    await delay(ms, undefined, { signal: gone.signal })
  } finally {
    response.off('close', abort)
  }
}

/** Writes a chunk and waits until the client has read it, so that a slow client does not fill the memory. */
async function write(response: ServerResponse, chunk: string | Buffer): Promise<void> {
  if (response.destroyed) throw new Error('the client is gone')
  if (response.write(chunk)) return
  const settled = new AbortController()
  const { signal } = settled
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  } finally {
    // Removes the other listener: a long body waits many times on one response.
    settled.abort()
  }
}

function refuse(response: ServerResponse, allowed: string): void {
  sendJson(response, 400, { error: `expected ${allowed}` })
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const text = `${JSON.stringify(body)}\n`
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

/** @returns undefined unless it is a whole number in the range. */
function boundedNumber(text: string, least: number, most: number): number | undefined {
  const number = Number(text)
  return /^\d+$/.test(text) && number >= least && number <= most ? number : undefined
}
