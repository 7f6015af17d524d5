import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { listTraces, openTrace, scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import type { LogEntry } from '../support/start-process'
import { until } from '../support/until'
import { openWebSocket, startWebSocketUpstream, type WebSocketUpstream } from '../support/web-sockets'

const KEY = newApiKey()
const WRONG = newApiKey()

for (const instrumentation of ['own', 'stock']) {
  describe(`the consumer of a request, with the ${instrumentation} instrumentation`, () => {
    let upstream: WebSocketUpstream
    let gateway: RunningGateway

    before(async () => {
      upstream = await startWebSocketUpstream()
      gateway = await startGateway({
        config: JSON.stringify({
          consumers: { acme: { apiKeys: [hashApiKey(KEY)] } },
          upstreams: { app: { targets: [upstream.url] } },
          routes: [
            { name: 'app', match: { path: '/app' }, upstream: 'app', auth: { apiKey: {} } },
            { name: 'scoped', match: { path: '/scoped' }, upstream: 'app', auth: { apiKey: {}, scopes: ['admin'] } },
          ],
        }),
        env: { TELEMETRY_HTTP_INSTRUMENTATION: instrumentation },
      })
    })
    after(async () => {
      await gateway.stop()
      await upstream.stop()
    })

    /** The log line of the request that `act` makes, and the attributes of its SERVER span. */
    async function toldOf(act: () => Promise<unknown>): Promise<{ attributes: object; logged: LogEntry }> {
      const earlier = gateway.logs.length
      await act()
      const findLine = (): LogEntry | undefined => gateway.logs.slice(earlier).find(({ event }) => event === 'request')
      const logged = await until(findLine, { what: 'the log line' })
      const spans = await until(() => openTrace(gateway.opsUrl, String(logged['trace_id'])), { what: 'the trace' })
      return { attributes: spans.find(({ kind }) => kind === 2)?.attributes ?? {}, logged }
    }
    const ask = (path: string, key: string): ReturnType<typeof toldOf> =>
      toldOf(async () => send(gateway.port, { path, headers: { 'x-api-key': key } }))

    it('is on the SERVER span and the log line, also when its scopes were not sufficient', async () => {
      for (const path of ['/app', '/scoped']) {
        const { attributes, logged } = await ask(path, KEY)
        assert.equal((attributes as Record<string, unknown>)['gateway.consumer.name'], 'acme')
        assert.partialDeepStrictEqual(logged, { consumer: 'acme', status: path === '/app' ? 200 : 403 })
      }
    })

    // The stock instrumentation has no span for upgrades.
    if (instrumentation === 'own') {
      it('is also recorded for a WebSocket', async () => {
        const { attributes, logged } = await toldOf(async () => {
          const socket = await openWebSocket(`${gateway.url}/app`, { headers: { 'x-api-key': KEY } })
          socket.terminate()
        })
        assert.equal((attributes as Record<string, unknown>)['gateway.consumer.name'], 'acme')
        assert.partialDeepStrictEqual(logged, { consumer: 'acme', status: 101 })
      })
    }

    it('is not recorded when it is unknown', async () => {
      const { attributes, logged } = await ask('/app', WRONG)
      assert.ok(!('gateway.consumer.name' in attributes))
      assert.ok(!('consumer' in logged))
    })

    it('is no metric label, and the API key is recorded nowhere', async () => {
      await ask('/app', KEY)
      await ask('/app', WRONG)
      const families = [...(await scrape(gateway.opsUrl)).values()]
      const labels = new Set(families.flatMap(({ samples }) => samples.flatMap(sample => Object.keys(sample.labels))))
      assert.deepEqual(
        [...labels].filter(label => /consumer|key/.test(label)),
        [],
      )
      const traces = await listTraces(gateway.opsUrl)
      const opened = await Promise.all(traces.map(({ traceId }) => openTrace(gateway.opsUrl, traceId)))
      const everything = JSON.stringify([families, traces, opened, gateway.logs])
      for (const key of [KEY, WRONG, hashApiKey(KEY), hashApiKey(WRONG)]) {
        assert.ok(!everything.includes(key.slice(8, 20)), 'a key, or its hash, was told')
      }
    })
  })
}
