import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openRaw, type RawConnection } from '../support/raw-http'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { until } from '../support/until'
import { forgetRecords, memoryInUse } from './memory'
import {
  readClientRequests,
  readResponses,
  statusOf,
  valuesOf,
  type Field,
  type Message,
  type Reading,
} from './messages'
import {
  hashOf,
  idIn,
  startRecordingUpstream,
  type ForwardedRequest,
  type RecordingUpstream,
} from './recording-upstream'
import { randomCuts, randomRequests } from './request-grammar'
import { fuzz, SEED, TIMEOUT_MS } from './settings'
import { shrink } from './shrink'

/** Connections at once: an answer that goes to another connection needs another one to go to. */
const AT_ONCE = 8
const ROUNDS = 150
const WARM_UP_ROUNDS = 40
/** More than the noise of a heap, less than a leak of 1 KiB for each connection of a minute's run. */
const MEMORY_GROWTH_AT_MOST = 32 * 1_048_576
const ANSWER_WITHIN_MS = 5_000
/** The same while an input is made smaller, when nothing else is under way. */
const ANSWER_ALONE_WITHIN_MS = 1_000
/** For what has to close at once; the connection is ended by the client then, and that has to be enough. */
const REFUSED_WITHIN_MS = 100

interface Input {
  readonly bytes: string
  readonly cuts: readonly number[]
}

describe('random bytes on a connection', function () {
  this.timeout(TIMEOUT_MS)
  let upstream: RecordingUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startRecordingUpstream()
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('never reach an upstream as another request than the client’s, and each answer belongs to its request', async () => {
    let memoryBefore = 0
    const rounds = await fuzz(ROUNDS, async (random, number) => {
      if (number === WARM_UP_ROUNDS) memoryBefore = memoryInUse()
      const inputs = Array.from({ length: AT_ONCE }, (_, i) => {
        const bytes = randomRequests(random, `c${number}n${i}`)
        return { bytes, cuts: randomCuts(random, bytes.length) }
      })
      const faults = (await Promise.all(inputs.map(input => exchange(input)))).filter(fault => fault !== undefined)
      const strangers = [
        ...upstream.violations,
        ...upstream.ids().map(id => `${id} reached the upstream and was not sent`),
      ]
      upstream.forget()
      forgetRecords(pipeline)
      if (faults.length + strangers.length > 0) await report(inputs, [...faults, ...strangers], number)
    })
    if (rounds <= WARM_UP_ROUNDS) return
    await until(async () => (await pipeline.connections()) === 0, { what: 'no connection is left' })
    const growth = memoryInUse() - memoryBefore
    assert.ok(growth < MEMORY_GROWTH_AT_MOST, `${growth} bytes more in use after ${rounds * AT_ONCE} connections`)
  })

  async function report(inputs: readonly Input[], faults: readonly string[], round: number): Promise<never> {
    const where = `seed ${SEED}, round ${round}`
    for (const input of inputs) {
      const fault = await alone(input)
      if (fault === undefined) continue
      const whole = (await alone({ ...input, cuts: [] })) === undefined
      const cuts = whole ? input.cuts : []
      const bytes = await shrink(input.bytes, async shorter => (await alone({ bytes: shorter, cuts })) !== undefined)
      const last = await alone({ bytes, cuts })
      assert.fail(
        `${last ?? fault}\n${where}, minimal input${cuts.length > 0 ? `, cut at ${cuts.join()}` : ''}:\n${JSON.stringify(bytes)}`,
      )
    }
    return assert.fail(
      `${faults.join('\n')}\n${where}, only with all of:\n${inputs.map(({ bytes }) => JSON.stringify(bytes.slice(0, 5_000))).join('\n')}`,
    )
  }

  async function alone(input: Input): Promise<string | undefined> {
    upstream.forget()
    const fault = await exchange(input, ANSWER_ALONE_WITHIN_MS)
    const strangers = [
      ...upstream.violations,
      ...upstream.ids().map(id => `${id} reached the upstream and was not sent`),
    ]
    upstream.forget()
    return fault ?? strangers[0]
  }

  /** Sends it and returns what is wrong with what came back or went on. */
  async function exchange({ bytes, cuts }: Input, withinMs = ANSWER_WITHIN_MS): Promise<string | undefined> {
    const sent = whatIsSent(bytes)
    const connection = await openRaw(pipeline.port)
    try {
      await write(connection, bytes, cuts)
      const unanswered = await waitForAnswers(connection, sent, withinMs)
      const wrong = judgeAnswers(connection.received, sent, unanswered)
      const forwarded = judgeForwarded(sent)
      return unanswered ?? wrong ?? forwarded
    } finally {
      connection.destroy()
    }
  }

  function judgeForwarded({ complete }: Sent): string | undefined {
    for (const id of new Set(complete.map(({ id }) => id))) {
      const left = complete.filter(request => request.id === id)
      for (const seen of upstream.takeRequests(id)) {
        const place = left.findIndex(request => isSame(request, seen))
        if (place === -1) return `the upstream got ${JSON.stringify(seen)}, and not what the client sent`
        left.splice(place, 1)
      }
    }
    return undefined
  }
})

interface SentRequest {
  readonly id: string
  readonly method: string
  readonly named: string
  readonly bodyHash: string
}

interface Sent {
  readonly complete: readonly SentRequest[]
  /** Of all requests whose header section is there. */
  readonly methods: readonly string[]
  readonly ids: readonly string[]
  /** What follows those is refused without a response object, or not at all. */
  readonly endsMalformed: boolean
}

function whatIsSent(bytes: string): Sent {
  const reading = readClientRequests(bytes)
  const complete: SentRequest[] = []
  const methods: string[] = []
  const ids: string[] = []
  let endsMalformed = reading.malformed !== undefined
  for (const { startLine, fields, body, complete: isComplete } of reading.messages) {
    const [method = '', target = ''] = startLine.split(/ +/)
    // Node's parser knows no other methods, targets and versions.
    if (!METHODS.includes(method) || !KNOWN_TARGET.test(target) || !/1\.[01]$/.test(startLine)) {
      endsMalformed = true
      break
    }
    methods.push(method)
    ids.push(idIn(target))
    if (!isComplete) break
    const named = valuesOf(fields, 'x-id').join()
    complete.push({ id: idIn(target), method, named, bodyHash: hashOf(body) })
    if (endsConnection(startLine, fields)) break
  }
  return { complete, methods, ids, endsMalformed }
}

const KNOWN_TARGET = /^(?:[/*]|https?:\/\/.)/i

function endsConnection(startLine: string, fields: readonly Field[]): boolean {
  // Node's parser reads `Proxy-Connection` in the same way.
  const options = ['connection', 'proxy-connection']
    .flatMap(name => valuesOf(fields, name))
    .join()
    .toLowerCase()
  if (/(?:^|,)[ \t]*close[ \t]*(?:,|$)/.test(options)) return true
  return startLine.startsWith('CONNECT ') || (startLine.endsWith('/1.0') && !/keep-alive/.test(options))
}

function isSame(request: SentRequest, { method, named, bodyHash }: ForwardedRequest): boolean {
  // `Connection: x-id` takes the field off.
  return request.method === method && request.bodyHash === bodyHash && (named === '' || named === request.named)
}

async function write(connection: RawConnection, bytes: string, cuts: readonly number[]): Promise<void> {
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    if (connection.socket.destroyed) return
    connection.send(bytes.slice(from, cut))
    from = cut
    if (cuts.length > 0) await nextTurn()
  }
}

/** Waits for as many answers as there have to be, or for the end of the connection; returns what did not happen. */
async function waitForAnswers(connection: RawConnection, sent: Sent, withinMs: number): Promise<string | undefined> {
  const isClosed = (): boolean => connection.socket.readableEnded || connection.socket.destroyed
  const isAnswered = (): boolean =>
    finals(readResponses(connection.received, methodsOf(sent), isClosed())).length >= sent.complete.length
  try {
    await until(() => isClosed() || isAnswered(), { what: 'answers', timeoutMs: withinMs, intervalMs: 1 })
  } catch {
    return `no answer within ${withinMs} ms; received ${JSON.stringify(connection.received.slice(-400))}`
  }
  if (sent.endsMalformed) {
    await until(isClosed, { what: 'close', timeoutMs: REFUSED_WITHIN_MS, intervalMs: 1 }).catch(() => undefined)
  }
  connection.socket.end()
  try {
    await until(isClosed, { what: 'close', timeoutMs: withinMs, intervalMs: 1 })
  } catch {
    return `the connection is open ${withinMs} ms after its client ended it`
  }
  return undefined
}

function judgeAnswers(received: string, sent: Sent, unanswered: string | undefined): string | undefined {
  const { complete, methods, ids, endsMalformed } = sent
  // What is no request is answered with a body, and what Node still reads as HEAD without one.
  const readings = ['GET', 'HEAD'].map(last => readResponses(received, [...methods, last], true))
  const reading = readings.find(({ malformed }) => malformed === undefined)
  const shown = JSON.stringify(received.slice(-600))
  if (reading === undefined) return `the answer is malformed: ${readings[0]?.malformed}; ${shown}`
  const answers = finals(reading)
  for (const [i, { startLine, fields, body, complete: isWhole }] of answers.entries()) {
    const [echo] = valuesOf(fields, 'x-echo')
    const request = complete[i]
    if (echo === undefined) {
      // `/` and `OPTIONS *` have answers of the gateway's own, for which it does not wait for a body.
      const isOwn = ids[i] === '' || ids[i] === '*'
      if (statusOf(startLine) < 400 && !isOwn) return `nobody's answer: ${shown}`
      continue
    }
    if (request?.id !== echo) return `the answer to ${echo} came for ${request?.id ?? 'no request'}; ${shown}`
    if (isWhole && request.method !== 'HEAD' && body !== `${request.method} ${echo} ${request.bodyHash}`)
      return `the answer to ${echo} is ${JSON.stringify(body)}`
  }
  if (answers.length > methods.length + 1) return `${answers.length} answers to ${methods.length} requests; ${shown}`
  const isClosing = answers.some(({ fields }) => valuesOf(fields, 'connection').some(value => /close/i.test(value)))
  if (unanswered === undefined && answers.length < complete.length && !isClosing && !endsMalformed)
    return `${answers.length} answers to ${complete.length} requests; ${shown}`
  return undefined
}

function methodsOf({ methods }: Sent): readonly string[] {
  return [...methods, 'GET']
}

function finals({ messages }: Reading): Message[] {
  return messages.filter(({ startLine, complete }) => statusOf(startLine) >= 200 && complete)
}
