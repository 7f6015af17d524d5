import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { openRaw } from '../support/raw-http'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { until } from '../support/until'
import { forgetRecords } from './memory'
import { readResponses, statusOf, valuesOf, type Message, type Reading } from './messages'
import { randomResponse, type Script } from './response-grammar'
import { startScriptedUpstream, type ScriptedUpstream } from './scripted-upstream'
import { fuzz, SEED, TIMEOUT_MS } from './settings'
import { shrink } from './shrink'

const AT_ONCE = 8
const ROUNDS = 80
const ANSWER_WITHIN_MS = 5_000

interface Input {
  readonly method: string
  readonly script: Script
}

describe('random bytes of an upstream', function () {
  this.timeout(TIMEOUT_MS)
  let upstream: ScriptedUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startScriptedUpstream(write)
    // Every answer is looked at: no target is left out for those before, and a request has one call.
    const file = proxyTo(upstream.url, {
      upstream: { ejection: { failures: 0 }, timeouts: { response: '200ms', idle: '200ms' } },
    })
    pipeline = await startPipeline(file)
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('reach a client as a whole answer to its request, as a recognisably broken one or as a problem', async () => {
    await fuzz(ROUNDS, async (random, number) => {
      const inputs = Array.from({ length: AT_ONCE }, (_, i): [string, Input] => {
        const id = `c${number}n${i}z`
        return [id, { method: random.pick(['GET', 'GET', 'HEAD', 'POST']), script: randomResponse(random, id) }]
      })
      const faults = (await Promise.all(inputs.map(([id, input]) => exchange(id, input)))).filter(
        fault => fault !== undefined,
      )
      forgetRecords(pipeline)
      if (faults.length > 0) await report(inputs, faults, number)
    })
  })

  async function report(
    inputs: readonly (readonly [string, Input])[],
    faults: readonly string[],
    round: number,
  ): Promise<never> {
    const where = `seed ${SEED}, round ${round}`
    for (const [id, input] of inputs) {
      const { method, script } = input
      if ((await exchange(id, input)) === undefined) continue
      const at = (text: string): Input => ({ method, script: { writes: [text], end: script.end } })
      const text = script.writes.join('')
      const minimal =
        (await exchange(id, at(text))) === undefined
          ? undefined
          : // Without its id, an answer is one to another request: that would be a failure of its own.
            await shrink(
              text,
              async shorter =>
                shorter.includes(id) === text.includes(id) && (await exchange(id, at(shorter))) !== undefined,
            )
      const last = await exchange(id, minimal === undefined ? input : at(minimal))
      assert.fail(
        `${faults[0]}\n${last ?? ''}\n${where}, ${method}, minimal answer, then ${script.end}:\n${JSON.stringify(minimal ?? script.writes)}`,
      )
    }
    return assert.fail(
      `${faults.join('\n')}\n${where}, only with all of:\n${inputs.map(([, input]) => JSON.stringify(input).slice(0, 5_000)).join('\n')}`,
    )
  }

  /** Asks for the answer and, on the same connection, for one that is in order. */
  async function exchange(id: string, { method, script }: Input): Promise<string | undefined> {
    upstream.scripts.set(id, script)
    const second = `ok-${id}`
    upstream.scripts.set(second, { writes: [goodAnswer(second)], end: 'keep' })
    const client = await openRaw(pipeline.port)
    const isClosed = (): boolean => client.socket.readableEnded || client.socket.destroyed
    const read = (): Reading => readResponses(client.received, [method, 'GET'], isClosed())
    const send = (method: string, id: string): void =>
      client.send(
        `${method} /app/${id} HTTP/1.1\r\nHost: a\r\n${method === 'POST' ? 'Content-Length: 2\r\n\r\nhi' : '\r\n'}`,
      )
    const answered = async (count: number): Promise<unknown> =>
      until(() => isClosed() || finals(read()).length >= count, {
        what: 'an answer',
        timeoutMs: ANSWER_WITHIN_MS,
        intervalMs: 1,
      })
    try {
      send(method, id)
      await answered(1)
      if (!isClosed()) {
        send('GET', second)
        await answered(2)
      }
      client.socket.end()
      await until(isClosed, { what: 'the end of the connection', timeoutMs: ANSWER_WITHIN_MS, intervalMs: 1 })
      return judge(client.received, read(), id, second, method, script)
    } catch (error) {
      return `${(error as Error).message}; received ${JSON.stringify(client.received.slice(-400))}`
    } finally {
      client.destroy()
      upstream.scripts.delete(id)
      upstream.scripts.delete(second)
    }
  }
})

function write(socket: Socket, { writes, end }: Script): void {
  void (async () => {
    for (const bytes of writes) {
      if (socket.destroyed) return
      socket.write(bytes, 'latin1')
      if (writes.length > 1) await nextTurn()
    }
    if (end === 'close') socket.end()
    else if (end === 'reset') socket.resetAndDestroy()
  })()
}

function goodAnswer(id: string): string {
  return `HTTP/1.1 200 OK\r\nX-Echo: ${id}\r\nContent-Length: ${id.length}\r\n\r\n${id}`
}

function judge(
  received: string,
  reading: Reading,
  id: string,
  second: string,
  method: string,
  { writes, end }: Script,
): string | undefined {
  const shown = JSON.stringify(received.slice(0, 600))
  const [first, next, ...more] = reading.messages.filter(({ startLine }) => statusOf(startLine) >= 200)
  if (reading.malformed !== undefined) return `the answer is malformed: ${reading.malformed}; ${shown}`
  if (more.length > 0) return `more answers than requests: ${shown}`
  const given = readResponses(writes.join(''), [method], end !== 'keep')
  const whole = given.messages.find(({ startLine }) => statusOf(startLine) >= 200)
  const isOwn = (echo: string): boolean => {
    // A malformed response may be forwarded up to its fault. A mutation may have turned its id into the id of another request,
    // but then the bytes of this response contain that id.
    if (whole === undefined) return !echo.startsWith('evil') && writes.join('').includes(echo)
    return valuesOf(whole.fields, 'x-echo').includes(echo)
  }
  const strangers = [
    ...valuesOf(first?.fields ?? [], 'x-echo').filter(echo => !isOwn(echo)),
    ...valuesOf(next?.fields ?? [], 'x-echo').filter(echo => echo !== second),
  ]
  if (strangers.length > 0) return `the answer to ${strangers.join()} came for ${id} or ${second}; ${shown}`
  if (next?.complete === true && statusOf(next.startLine) === 200 && next.body !== second)
    return `the second answer is ${JSON.stringify(next.body.slice(0, 200))}`
  if (first?.complete !== true || method === 'HEAD' || valuesOf(first.fields, 'x-echo').length === 0) return undefined
  // A whole answer has to be one that the upstream gave as a whole.
  if (whole?.complete === false) return `a truncated answer became a whole one: ${shown}`
  if (whole !== undefined && whole.body !== first.body)
    return `${JSON.stringify(whole.body.slice(0, 200))} became ${JSON.stringify(first.body.slice(0, 200))}`
  return undefined
}

function finals({ messages }: Reading): Message[] {
  return messages.filter(({ startLine, complete }) => statusOf(startLine) >= 200 && complete)
}
