/**
 * HTTP/1.1 messages, read as RFC 9112 writes them and not one byte more kindly: what two parsers could read differently is
 * malformed. Written apart from the gateway and from Node's parser, which it judges. Texts have one character per byte.
 */

export type Field = readonly [name: string, value: string]

export interface Message {
  readonly startLine: string
  readonly fields: readonly Field[]
  readonly body: string
  /** False when the text ended before the message did. */
  readonly complete: boolean
}

export interface Reading {
  readonly messages: readonly Message[]
  /** Why the rest is no message; undefined when the text ends with a message or within one. */
  readonly malformed: string | undefined
  /** What no message was read from. */
  readonly rest: string
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/s
/** Field values: visible characters, bytes above ASCII, space and tab. */
// eslint-disable-next-line no-control-regex
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Leading zeros do not count: Node's parser refuses only sizes above 64 bits. */
const CHUNK_LINE = /^(0*[0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.[0-9]$/
/** More than one space, and names of protocols that look like HTTP: Node tells nobody that they were there. */
const CLIENT_REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) +([\x21-\x7e\x80-\xff]+) +(?:HTTP|RTSP|ICE)\/1\.[0-9]$/
const STATUS_LINE = /^HTTP\/1\.[01] [1-9][0-9]{2} [\t\x20-\x7e\x80-\xff]*$/

class Malformed extends Error {}
class Incomplete extends Error {
  constructor(readonly head?: Omit<Message, 'complete'>) {
    super('incomplete')
  }
}

export function readRequests(text: string): Reading {
  return readMessages(text, REQUEST_LINE, requestFraming)
}

/** The same with what Node's parser lets through although it should not, where no two readings of the framing are possible. */
export function readClientRequests(text: string): Reading {
  return readMessages(text, CLIENT_REQUEST_LINE, requestFraming)
}

function requestFraming({ startLine, fields }: Omit<Message, 'complete' | 'body'>): Framing {
  const codings = valuesOf(fields, 'transfer-encoding')
  const lengths = valuesOf(fields, 'content-length')
  return framingOf(codings, lengths, startLine.endsWith('/1.0')) ?? 0
}

/**
 * @param methods of the requests that are answered, in order
 * @param closed whether the connection has ended: a response without a length ends with it
 */
export function readResponses(text: string, methods: readonly string[], closed: boolean): Reading {
  let answered = 0
  return readMessages(text, STATUS_LINE, ({ startLine, fields }) => {
    const status = statusOf(startLine)
    if (status < 200 && status !== 101) return 0
    const method = methods[answered++]
    const framing = framingOf(valuesOf(fields, 'transfer-encoding'), valuesOf(fields, 'content-length'), false)
    if (method === 'HEAD' || status === 204 || status === 304) return 0
    if (status === 101) return 'until close'
    if (framing !== undefined) return framing
    return closed ? 'until close' : 'unknown end'
  })
}

export function statusOf(startLine: string): number {
  return Number(startLine.split(' ')[1])
}

export function valuesOf(fields: readonly Field[], name: string): string[] {
  return fields.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value)
}

type Framing = number | 'chunked' | 'until close' | 'unknown end'

function framingOf(codings: readonly string[], lengths: readonly string[], isOld: boolean): Framing | undefined {
  if (codings.length > 0) {
    if (lengths.length > 0) throw new Malformed('Transfer-Encoding and Content-Length')
    if (isOld) throw new Malformed('Transfer-Encoding in HTTP/1.0')
    if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked')
      throw new Malformed(`Transfer-Encoding: ${codings.join()}`)
    return 'chunked'
  }
  if (lengths.length === 0) return undefined
  if (lengths.length > 1 || !/^\d+$/.test(lengths[0] ?? '') || !Number.isSafeInteger(Number(lengths[0])))
    throw new Malformed(`Content-Length: ${lengths.join()}`)
  return Number(lengths[0])
}

function readMessages(
  text: string,
  startLine: RegExp,
  framing: (head: Omit<Message, 'complete' | 'body'>) => Framing,
): Reading {
  const messages: Message[] = []
  const reader = new Reader(text)
  for (;;) {
    const begin = reader.at
    const rest = (): string => text.slice(begin)
    try {
      // Empty lines in front of a request are nothing (§2.2), and no bytes of an empty line can be read as a request.
      if (startLine === CLIENT_REQUEST_LINE) reader.skipEmptyLines()
      if (reader.isAtEnd) return { messages, malformed: undefined, rest: '' }
      messages.push(readMessage(reader, startLine, framing))
    } catch (error) {
      if (error instanceof Incomplete) {
        if (error.head) messages.push({ ...error.head, complete: false })
        return { messages, malformed: undefined, rest: rest() }
      }
      if (error instanceof Malformed) return { messages, malformed: error.message, rest: rest() }
      throw error
    }
  }
}

function readMessage(
  reader: Reader,
  startLine: RegExp,
  framing: (head: Omit<Message, 'complete' | 'body'>) => Framing,
): Message {
  const line = reader.line()
  if (!startLine.test(line)) throw new Malformed(`start line ${JSON.stringify(line.slice(0, 80))}`)
  const fields = readFields(reader)
  const head = { startLine: line, fields }
  const how = framing(head)
  const from = reader.at
  try {
    if (how === 'chunked') return { ...head, body: readChunks(reader), complete: true }
    if (how === 'until close') return { ...head, body: reader.all(), complete: true }
    if (how === 'unknown end') throw new Incomplete()
    return { ...head, body: reader.take(how), complete: true }
  } catch (error) {
    if (error instanceof Incomplete) throw new Incomplete({ ...head, body: reader.text.slice(from) })
    throw error
  }
}

function readFields(reader: Reader): Field[] {
  const fields: Field[] = []
  for (let line = reader.line(); line !== ''; line = reader.line()) {
    const [, name, value] = FIELD.exec(line) ?? []
    if (name === undefined || value === undefined || !TOKEN.test(name) || !VALUE.test(value))
      throw new Malformed(`field line ${JSON.stringify(line.slice(0, 80))}`)
    fields.push([name, value])
  }
  return fields
}

function readChunks(reader: Reader): string {
  let body = ''
  for (;;) {
    const line = reader.line()
    const size = CHUNK_LINE.exec(line)?.[1]
    if (size === undefined) throw new Malformed(`chunk line ${JSON.stringify(line.slice(0, 80))}`)
    const length = Number.parseInt(size, 16)
    if (length === 0) break
    body += reader.take(length)
    if (reader.take(2) !== '\r\n') throw new Malformed('no line end behind a chunk')
  }
  readFields(reader)
  return body
}

class Reader {
  at = 0

  constructor(readonly text: string) {}

  get isAtEnd(): boolean {
    return this.at >= this.text.length
  }

  skipEmptyLines(): void {
    while (this.text[this.at] === '\r' || this.text[this.at] === '\n') this.at++
  }

  /** Without its CR LF. A bare CR or LF is malformed wherever it stands. */
  line(): string {
    const end = this.text.indexOf('\n', this.at)
    if (end === -1) throw new Incomplete()
    const line = this.text.slice(this.at, end)
    if (!line.endsWith('\r')) throw new Malformed(`bare LF behind ${JSON.stringify(line.slice(-80))}`)
    if (line.indexOf('\r') !== line.length - 1) throw new Malformed(`bare CR in ${JSON.stringify(line.slice(0, 80))}`)
    this.at = end + 1
    return line.slice(0, -1)
  }

  take(length: number): string {
    if (this.at + length > this.text.length) throw new Incomplete()
    const taken = this.text.slice(this.at, this.at + length)
    this.at += length
    return taken
  }

  all(): string {
    return this.take(this.text.length - this.at)
  }
}
