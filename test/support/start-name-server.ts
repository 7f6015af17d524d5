import { createSocket } from 'node:dgram'
import { once } from 'node:events'

/** Records of one name. No records of any kind: the name does not exist (NXDOMAIN). */
export interface NameRecords {
  readonly a?: readonly string[]
  /** Eight groups, none left out. */
  readonly aaaa?: readonly string[]
  readonly srv?: readonly { priority: number; weight: number; port: number; name: string }[]
  readonly ttl?: number
}

export interface NameServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  /** By name; changes count from the next question on. */
  readonly records: Map<string, NameRecords>
  /** Names of the questions, in order, with the type: `A orders.test`. */
  readonly questions: string[]
  /** No question is answered, as if the server were away. */
  isSilent: boolean
  stop(): void
}

const TYPES = { 1: 'A', 28: 'AAAA', 33: 'SRV' } as const
const running = new Set<NameServer>()

after(() => {
  for (const server of running) server.stop()
})

/** A DNS server over UDP on a free loopback port, with the few kinds of records that the gateway asks for. */
export async function startNameServer(records: Readonly<Record<string, NameRecords>>): Promise<NameServer> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const server: NameServer = {
    address: `127.0.0.1:${socket.address().port}`,
    records: new Map(Object.entries(records)),
    questions: [],
    isSilent: false,
    stop: () => {
      if (running.delete(server)) socket.close()
    },
  }
  running.add(server)
  socket.on('message', (query, { port, address }) => {
    const { name, type, end } = questionIn(query)
    server.questions.push(`${TYPES[type as keyof typeof TYPES] ?? type} ${name}`)
    if (server.isSilent) return
    const found = server.records.get(name)
    const answers = found === undefined ? [] : answersOf(found, type)
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(found === undefined ? 0x8583 : 0x8580, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(answers.length, 6)
    socket.send(Buffer.concat([header, query.subarray(12, end), ...answers]), port, address)
  })
  return server
}

function questionIn(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let offset = 12
  for (let length = query[offset] as number; length > 0; length = query[offset] as number) {
    labels.push(query.toString('latin1', offset + 1, offset + 1 + length))
    offset += length + 1
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(offset + 1), end: offset + 5 }
}

function answersOf({ a = [], aaaa = [], srv = [], ttl = 0 }: NameRecords, type: number): Buffer[] {
  const data =
    type === 1
      ? a.map(address => Buffer.from(address.split('.').map(Number)))
      : type === 28
        ? aaaa.map(address =>
            Buffer.from(address.split(':').flatMap(group => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])),
          )
        : type === 33
          ? srv.map(({ priority, weight, port, name }) =>
              Buffer.concat([numbers(priority, weight, port), nameBytes(name)]),
            )
          : []
  return data.map(bytes => {
    const ttlBytes = Buffer.alloc(4)
    ttlBytes.writeUInt32BE(ttl)
    // 0xc00c: the name of the question.
    return Buffer.concat([numbers(0xc00c, type, 1), ttlBytes, numbers(bytes.length), bytes])
  })
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2)
  return bytes
}

function nameBytes(name: string): Buffer {
  const labels = name
    .split('.')
    .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...labels, Buffer.from([0])])
}
