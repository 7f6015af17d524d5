import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import type { Reason } from '../../../src/errors/reasons'
import { REASONS } from '../../../src/errors/reasons'
import { openRaw, type RawConnection } from '../../support/raw-http'
import { send } from '../../support/send'
import { startPipeline, type Pipeline } from '../../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../../support/start-upstream'

/** A label, the rule it tests, the bytes that are sent, and the expected outcome. */
export type HostileCase = readonly [what: string, rule: string, bytes: string, outcome: Outcome]

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
 * Runs each case on a connection of its own, with a second request (the follower) behind it in the same packet. A refused
 * case gets one response and the connection closes, so the follower is not served. A served case reaches the upstream as
 * listed, and so does the follower: gateway and upstream agree on its end. The next client is served as usual.
 */
export function describeHostile(subject: string, cases: readonly HostileCase[]): void {
  describe(`hostile input: ${subject}`, () => {
    let upstream: RunningUpstream
    let pipeline: Pipeline
    let seen: (Seen & { readonly headers: Readonly<Record<string, unknown>> })[] = []

    before(async () => {
      upstream = await startUpstream((incoming, response) => {
        const { method = '', url = '', headers } = incoming
        void bodyOf(incoming).then(body => {
          seen.push({ method, url, headers, body: body.toString('latin1') })
          response.end('ok')
        })
      })
      pipeline = await startPipeline({
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
      })
    })
    beforeEach(() => {
      seen = []
    })
    after(async () => {
      await pipeline.stop()
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

    async function checkServed(client: RawConnection, outcome: Served): Promise<void> {
      const { served, without = [], having = {}, closes = false, drops = false } = outcome
      const answers = closes
        ? await client.closed()
        : await client.waitFor(drops ? /\r\n\r\nok/ : /\r\n\r\nok[^]*\r\n\r\nok/)
      const isLast = closes || drops
      assert.deepEqual(statusesIn(answers), isLast ? [200] : [200, 200])
      const [first, ...followers] = seen
      assert.deepEqual(
        followers.map(({ url }) => url),
        isLast ? [] : ['/follower'],
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

function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}
