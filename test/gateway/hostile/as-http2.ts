import { END_HEADERS, END_STREAM, FRAME, frame, headerBlock, type Fields } from '../../support/http2-frames'

/** A request line in origin form, fields, and the rest. */
const MESSAGE = /^([!#$%&'*+.^_`|~\w-]+) ([/*][^ \r\n]*) HTTP\/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n([^]*)$/
const FIELD = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^]*?)[ \t]*$/
/** Fields of one HTTP/1.1 connection, which HTTP/2 does not have. */
const OF_THE_CONNECTION =
  /^(?:connection|expect|http2-settings|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$/

/**
 * Translates an HTTP/1.1 request into the frames of stream 1. Undefined if it means something in HTTP/1.1 only: syntax of
 * lines, fields of the connection, bodies whose length is not that of the field.
 */
export function asHttp2(bytes: string): Buffer | undefined {
  const [, method, target, section, body] = MESSAGE.exec(bytes) ?? []
  if (method === undefined || target === undefined || section === undefined || body === undefined) return undefined
  const fields: [string, string][] = []
  const hosts: string[] = []
  for (const line of section.split('\r\n').slice(0, -1)) {
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined || value === undefined || OF_THE_CONNECTION.test(name.toLowerCase())) return undefined
    if (name.toLowerCase() === 'host') hosts.push(value)
    else fields.push([name.toLowerCase(), value])
  }
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value)
  if (lengths.length > 1 || (lengths[0] ?? '0') !== String(body.length)) return undefined
  const [authority, ...others] = hosts
  const all: Fields = [
    [':method', method],
    [':scheme', 'http'],
    ...(authority === undefined ? [] : [[':authority', authority] as const]),
    [':path', target],
    ...others.map(host => ['host', host] as const),
    ...fields,
  ]
  const block = headerBlock(all)
  // A frame has no more, and few cases need more than one.
  if (block.length > 16_384) return undefined
  const ends = body === '' ? END_STREAM : 0
  const head = frame(FRAME.headers, END_HEADERS | ends, 1, block)
  return body === '' ? head : Buffer.concat([head, frame(FRAME.data, END_STREAM, 1, Buffer.from(body, 'latin1'))])
}
