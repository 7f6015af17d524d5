import { createServer } from 'node:http'
import { listen } from './listen.ts'

/**
 * Receives OTLP over HTTP and discards it, counting the spans: at full load a queue may overflow, and dropped spans
 * cost less than sent ones. The first path segment names the sender.
 */
const spansBySubject = new Map<string, number>()

process.on('message', message => {
  if (message === 'spans') process.send?.({ event: 'spans', spans: Object.fromEntries(spansBySubject) })
})

listen(
  createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const [, subject = '', , signal] = (request.url ?? '').split('/')
      if (signal === 'traces') {
        spansBySubject.set(subject, (spansBySubject.get(subject) ?? 0) + countSpans(Buffer.concat(chunks)))
      }
      response.writeHead(200, ['Content-Type', 'application/x-protobuf', 'Content-Length', '0']).end()
    })
  }),
)

/** ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans and ScopeSpans.spans (opentelemetry-proto). */
const PATH_TO_SPANS = [1, 2, 2]

/** Counts the fields at the end of the path. On this path every field of every message is length-delimited. */
function countSpans(message: Buffer, [field, ...rest]: readonly number[] = PATH_TO_SPANS): number {
  if (field === undefined) return 1
  let count = 0
  for (let at = 0; at < message.length;) {
    const tag = varint(message, at)
    const length = varint(message, tag.end)
    const end = length.end + length.value
    if (tag.value >> 3 === field) count += countSpans(message.subarray(length.end, end), rest)
    at = end
  }
  return count
}

function varint(bytes: Buffer, start: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let at = start, factor = 1; ; at++, factor *= 128) {
    const byte = bytes[at] ?? 0
    value += (byte & 127) * factor
    if (byte < 128) return { value, end: at + 1 }
  }
}
