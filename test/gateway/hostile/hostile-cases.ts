import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import type { Reason } from '../../../src/errors/reasons'
import { REASONS } from '../../../src/errors/reasons'
import { END_STREAM, FRAME, framesOf, openFrames, requestFields, requestFrame } from '../../support/http2-frames'
import { openRaw, type RawConnection } from '../../support/raw-http'
import { send } from '../../support/send'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'
import { asHttp2 } from './as-http2'

/** A label, the rule it tests, the bytes that are sent, the expected outcome, and that over HTTP/2 if it is another one. */
export type HostileCase = readonly [what: string, rule: string, bytes: string, outcome: Outcome, overHttp2?: Outcome]

export type Outcome = Refused | Forbidden | Served

/** One response in problem details, the connection closed, and no upstream request. */
interface Refused {
  readonly refused: Reason
}

/** One response in problem details and no upstream request; the framing is clear, so the next request is served. */
interface Forbidden {
  readonly forbidden: Reason
}

/** The request that the upstream received, and no other one. */
interface Served {
  readonly served: Partial<Seen>
  /** Names of fields that the upstream must not receive. */
  readonly without?: readonly string[]
  /** Fields that the upstream must receive, with these values. */
  readonly having?: Readonly<Record<string, string>>
  /** The client asked to close the connection: the follower is not served. */
  readonly closes?: true
  /** What follows is malformed: it is refused, and the follower is not served. */
  readonly thenRefused?: true
  /** Node drops bytes that follow an upgrade request in the same packet: the follower is not served. */
  readonly drops?: true
}

interface Seen {
  readonly method: string
  readonly url: string
  readonly body: string
}

export const refused = (reason: Reason = 'bad_request'): Refused => ({ refused: reason })
export const forbidden: Forbidden = { forbidden: 'forbidden' }
export const served = (seen: Partial<Seen>, also: Omit<Served, 'served'> = {}): Served => ({ served: seen, ...also })

/** A complete request without a body. */
export function request(line: string, ...fields: readonly string[]): string {
  return [line, ...fields, '', ''].join('\r\n')
}

export const HOST = 'Host: shop.example'

export function get(target: string, ...fields: readonly string[]): string {
  return request(`GET ${target} HTTP/1.1`, HOST, ...fields)
}

export function post(body: string, ...fields: readonly string[]): string {
  return request('POST /app HTTP/1.1', HOST, ...fields) + body
}

/** Follows every case: the bytes before it must not make the gateway or the upstream read it as part of another request. */
const FOLLOWER = request('GET /follower HTTP/1.1', HOST)

/**
 * Runs each case on a connection of its own, and again as a stream of HTTP/2 if it means something there, with a second request (the follower) behind it in the same packet. A refused
 * case gets one response and the connection closes, so the follower is not served. A served case reaches the upstream as
 * listed, and so does the follower: gateway and upstream agree on its end. The next client is served as usual.
 */
export function describeHostile(subject: string, cases: readonly HostileCase[]): void {
  describe(`hostile input: ${subject}`, () => {
    let upstream: RunningUpstream
    let pipeline: Pipeline
    let http2Pipeline: Pipeline
    let seen: (Seen & { readonly headers: Readonly<Record<string, unknown>> })[] = []

    before(async () => {
      upstream = await startUpstream((incoming, response) => {
        const { method = '', url = '', headers } = incoming
        void bodyOf(incoming).then(body => {
          seen.push({ method, url, headers, body: body.toString('latin1') })
          response.end('ok')
        })
      })
      const file = {
        upstreams: { app: { targets: [upstream.url] } },
        routes: [
          { name: 'app', match: { path: '/app' }, upstream: 'app' },
          { name: 'follower', match: { path: '/follower' }, upstream: 'app' },
          { name: 'page', match: { path: '/:page' }, upstream: 'app' },
          { name: 'small', match: { path: '/small' }, upstream: 'app', maxBodySize: '10B' },
          // A restricted path that must not be reachable by another spelling.
          { name: 'guarded', match: { path: '/guarded' }, upstream: 'app', access: { allow: ['192.0.2.1'] } },
          {
            name: 'inner',
            match: { path: '/:page', host: 'inner.example' },
            upstream: 'app',
            access: { allow: ['192.0.2.1'] },
          },
        ],
      }
      pipeline = await startPipeline(file)
      // A port of its own, so that the other one is as without HTTP/2.
      http2Pipeline = await startPipeline({ ...file, entrypoint: { http2: { cleartext: true } } })
    })
    beforeEach(() => {
      seen = []
    })
    after(async () => {
      await Promise.all([pipeline.stop(), http2Pipeline.stop()])
      await upstream.stop()
    })

    for (const [what, rule, bytes, outcome] of cases) {
      it(`${what} (${rule})`, async () => {
        const counted = pipeline.counted.length
        const client = await openRaw(pipeline.port)
        client.send(bytes + FOLLOWER)
        if ('served' in outcome) await checkServed(client, outcome)
        else if ('forbidden' in outcome) await checkForbidden(client, outcome)
        else await checkRefused(client, outcome)
        client.destroy()
        if ('refused' in outcome) {
          const [verdict, ...others] = (await pipeline.ended(counted + 1)).slice(counted)
          assert.deepEqual(
            [verdict?.outcome, verdict?.reason, others],
            ['refusal', outcome.refused, []],
            'counted once',
          )
        }
        assert.equal((await send(pipeline.port, '/app')).status, 200, 'the next client is served')
      })
    }

    for (const [what, rule, bytes, overHttp1, outcome = overHttp1] of cases) {
      const frames = asHttp2(bytes)
      if (frames === undefined) continue
      it(`${what}, over HTTP/2 (${rule})`, async () => {
        const counted = http2Pipeline.counted.length
        const client = await openFrames(http2Pipeline.port)
        client.send(Buffer.concat([frames, requestFrame(3, requestFields('/follower'))]))
        await until(() => isAnswered(client, 3), { what: 'the follower is answered' })
        await until(() => isAnswered(client, 1), { what: 'the request is answered' })
        assert.equal(dataOf(client, 3), 'ok')
        checkHttp2(client, outcome)
        client.destroy()
        // nghttp2 resets what is malformed before it is a request.
        const wasReset = framesOf(client).some(({ type, stream }) => type === FRAME.reset && stream === 1)
        const ended = (await http2Pipeline.ended(counted + (wasReset ? 1 : 2))).slice(counted)
        const expected = 'served' in outcome ? [] : ['refused' in outcome ? outcome.refused : outcome.forbidden]
        const reasons = ended.flatMap(({ reason }) => reason ?? [])
        assert.deepEqual(reasons, wasReset ? [] : expected)
      })
    }

    function checkHttp2(client: RawConnection, outcome: Outcome): void {
      const others = seen.filter(({ url }) => url !== '/follower')
      if (!('served' in outcome)) {
        assert.deepEqual(others, [], 'the upstream has seen nothing')
        const reason = 'refused' in outcome ? outcome.refused : outcome.forbidden
        const isReset = framesOf(client).some(({ type, stream }) => type === FRAME.reset && stream === 1)
        if (!isReset || 'forbidden' in outcome) assert.match(dataOf(client, 1), new RegExp(`"reason":"${reason}"`))
        return
      }
      const { served, without = [], having = {} } = outcome
      assert.equal(others.length, 1)
      for (const [key, value] of Object.entries(served)) assert.equal(others[0]?.[key as keyof Seen], value)
      for (const name of without) assert.equal(others[0]?.headers[name], undefined, name)
      for (const [name, value] of Object.entries(having)) {
        assert.equal(others[0]?.headers[name], name === 'via' ? value.replace('1.1 myesi', '2 myesi') : value)
      }
    }

    async function checkServed(client: RawConnection, outcome: Served): Promise<void> {
      const { served, without = [], having = {}, closes = false, thenRefused = false, drops = false } = outcome
      const answers =
        closes || thenRefused
          ? await client.closed()
          : await client.waitFor(drops ? /\r\n\r\nok/ : /\r\n\r\nok[^]*\r\n\r\nok/)
      const isLast = closes || drops
      assert.deepEqual(statusesIn(answers), thenRefused ? [200, 400] : isLast ? [200] : [200, 200])
      const [first, ...followers] = seen
      assert.deepEqual(
        followers.map(({ url }) => url),
        isLast || thenRefused ? [] : ['/follower'],
        'the follower, and nothing else',
      )
      for (const [key, value] of Object.entries(served)) assert.equal(first?.[key as keyof Seen], value)
      for (const name of without) assert.equal(first?.headers[name], undefined, name)
      for (const [name, value] of Object.entries(having)) assert.equal(first?.headers[name], value)
    }

    async function checkForbidden(client: RawConnection, outcome: Forbidden): Promise<void> {
      const answers = await client.waitFor(/\r\n\r\nok/)
      assert.deepEqual(statusesIn(answers), [REASONS[outcome.forbidden].status, 200])
      assert.match(answers, new RegExp(`"reason":"${outcome.forbidden}"`))
      assert.deepEqual(
        seen.map(({ url }) => url),
        ['/follower'],
      )
    }

    async function checkRefused(client: RawConnection, outcome: Refused): Promise<void> {
      const answer = await client.closed()
      assert.deepEqual(seen, [], 'the upstream has seen nothing')
      const { status } = REASONS[outcome.refused]
      const [head = '', body = '', ...more] = answer.split('\r\n\r\n')
      assert.deepEqual(more, [], 'one answer')
      assert.equal(head.split('\r\n')[0], `HTTP/1.1 ${status} ${STATUS_CODES[status]}`)
      assert.match(head, /\r\nContent-Type: application\/problem\+json(?:\r\n|$)/)
      assert.match(head, /\r\nConnection: close(?:\r\n|$)/)
      assert.equal((JSON.parse(body) as { reason: string }).reason, outcome.refused)
    }
  })
}

/** Whether a stream was ended by the gateway. */
function isAnswered(client: RawConnection, id: number): boolean {
  return framesOf(client).some(({ type, flags, stream }) => {
    if (type === FRAME.goaway) return true
    return stream === id && (type === FRAME.reset || (type <= FRAME.headers && (flags & END_STREAM) !== 0))
  })
}

function dataOf(client: RawConnection, id: number): string {
  const data = framesOf(client).filter(({ type, stream }) => type === FRAME.data && stream === id)
  return Buffer.concat(data.map(({ payload }) => payload)).toString()
}

function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}
