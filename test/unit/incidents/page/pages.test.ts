import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AskedPrometheus } from '../../../../src/incidents/page/curves'
import { createPages } from '../../../../src/incidents/page/pages'
import type { Incident } from '../../../../src/incidents/record/incident'
import { alertRecord, BEGAN, hostileRecord, incidentRecord } from '../../../support/incident-record'

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const UNREACHABLE: AskedPrometheus = {
  query: async () => Promise.reject(new Error('refused')),
  queryRange: async () => Promise.reject(new Error('refused')),
  queryExemplars: async () => Promise.reject(new Error('refused')),
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** What the pages answer when these incidents are known. */
async function ask(path: string, known: readonly Incident[], accept?: string): Promise<Answer> {
  const incidents = {
    get: async (id: string) => known.find(incident => incident.id === id),
    list: async () => [...known],
    change: async () => undefined,
  }
  const places = {
    grafanaUrl: 'http://grafana:3000',
    repositoryUrl: undefined,
    alertmanagerUrl: 'http://alertmanager:9093',
    jaegerUrl: undefined,
    tempoUrl: undefined,
    jaegerPublicUrl: undefined,
    opsPublicUrl: undefined,
    ownUrl: 'http://127.0.0.1:9095',
  }
  const answer = { status: 0, headers: {}, text: '' }
  const response = {
    writeHead: (status: number, headers: object) => void Object.assign(answer, { status, headers }),
    end: (text: string) => void (answer.text = text),
  }
  const request = { headers: { accept }, url: path } as IncomingMessage
  const servePage = createPages({
    incidents,
    prometheus: UNREACHABLE,
    gatewayJob: 'myesi-api',
    fleet: { read: async () => Promise.reject(new Error('not asked here')) },
    places: () => places,
  })
  await servePage(request, response as unknown as ServerResponse, path.split('?')[0] ?? '')
  return answer
}

/** What a reader sees of it. */
function wordsOf({ text }: Answer): string {
  return text
    .replaceAll(/<style>[^]*?<\/style>|<[^>]+>/g, ' ')
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll(/\s+/g, ' ')
}

describe('the incident pages', () => {
  const incident = incidentRecord()
  const path = `/incidents/${incident.id}`

  it('filter the list by state, severity and text, and put resolved incidents of one kind together', async () => {
    const over = (index: number): Incident =>
      incidentRecord({
        id: `${(BEGAN - index * 3_600_000).toString(36)}-00000000`,
        title: 'RedisDown',
        closedAtMs: BEGAN - index * 3_600_000 + 1,
        alerts: [alertRecord({ alertname: 'RedisDown', severity: 'warning' }, { endsAtMs: BEGAN })],
      })
    const all = [incident, over(1), over(2), over(3)]
    const titles = async (query: string): Promise<string[]> =>
      [...(await ask(`/incidents${query}`, all, HTML)).text.matchAll(/<h2><a [^>]*>([^<]*)</g)].map(
        ([, title = '']) => title,
      )
    assert.deepEqual(await titles(''), [incident.title, 'RedisDown'])
    assert.match(wordsOf(await ask('/incidents', all, HTML)), /2 earlier/)
    assert.deepEqual(await titles('?state=firing'), [incident.title])
    assert.deepEqual(await titles('?severity=warning'), ['RedisDown'])
    assert.deepEqual(await titles('?text=REDISd'), ['RedisDown'])
    assert.match(wordsOf(await ask('/incidents?text=nothing', all, HTML)), /None of the 4 incidents matches/)
  })

  it('list the most severe alerts first', async () => {
    const alerts = [alertRecord({ alertname: 'Slow', severity: 'warning' }), alertRecord({ alertname: 'Down' })]
    const words = wordsOf(await ask(path, [incidentRecord({ alerts })], HTML))
    assert.match(words, /Alerts · 2, 2 firing FIRING critical Down .* FIRING warning Slow/)
  })

  it('say who is limited, most first, in an incident about a limit', async () => {
    const alert = alertRecord()
    const limitedClients = [
      { client: '60303ae22b99', count: 3 },
      { client: '9f86d081884c', count: 120 },
    ]
    const evidence = { ...(alert.evidence as NonNullable<typeof alert.evidence>), limitedClients }
    const limited = await ask(path, [{ ...incident, alerts: [{ ...alert, evidence }] }], HTML)
    assert.match(wordsOf(limited), /Who is limited Client Times over the limit 9f86d081884c 120 60303ae22b99 3/)
    assert.doesNotMatch(wordsOf(await ask(path, [incident], HTML)), /Who is limited/)
  })

  it('give programs JSON: a list in short, and the whole record', async () => {
    const list = await ask('/incidents', [incident])
    assert.equal(list.headers['Content-Type'], 'application/json')
    assert.equal(list.headers['Vary'], 'Accept')
    assert.deepEqual(JSON.parse(list.text), {
      incidents: [
        {
          id: incident.id,
          title: incident.title,
          cause: 'upstream orders',
          severity: 'critical',
          sinceMs: BEGAN,
          openedAtMs: BEGAN + 60_000,
          alerts: 2,
          line: '28 of 40: orders → 10.0.0.7:9001 broke the connection',
        },
      ],
    })
    const { status, text } = await ask(path, [incident], '*/*')
    assert.equal(status, 200)
    assert.deepEqual(JSON.parse(text), {
      ...JSON.parse(text),
      ...JSON.parse(JSON.stringify(incident)),
      schemaVersion: 1,
    })
  })

  it('give browsers pages, unless the address asks for JSON', async () => {
    for (const address of ['/', '/incidents', path]) {
      const { status, headers, text } = await ask(address, [incident], HTML)
      assert.deepEqual([status, headers['Content-Type']], [200, 'text/html; charset=utf-8'], address)
      assert.match(headers['Content-Security-Policy'] ?? '', /^default-src 'none'; style-src 'sha256-/)
      assert.match(text, /^<!doctype html>/)
    }
    assert.equal((await ask(`${path}?format=json`, [incident], HTML)).headers['Content-Type'], 'application/json')
  })

  for (const address of ['/incidents/unknown-00000000', '/incidents/a/b', '/nothing', '/incidents/..%2f..']) {
    it(`have nothing at ${address}, which they say to both`, async () => {
      const page = await ask(address, [incident], HTML)
      assert.deepEqual([page.status, page.headers['Content-Type']], [404, 'text/html; charset=utf-8'])
      const { status, headers, text } = await ask(address, [incident])
      assert.deepEqual([status, headers['Content-Type']], [404, 'application/json'])
      assert.match(text, /no such/i)
    })
  }

  it('list what a person has to know of each', async () => {
    const over = incidentRecord({ id: 'mw000000-00000000', title: 'RedisDown', closedAtMs: BEGAN + 300_000 })
    const words = wordsOf(await ask('/incidents', [incident, over], HTML))
    assert.match(words, /1 open\./)
    assert.match(
      words,
      /FIRING critical GatewayHttp500Spike \/orders \(orders\) 28 of 40: orders → 10\.0\.0\.7:9001 broke/,
    )
    assert.match(words, /since .*\d\d:\d\d:\d\d UTC, for \d+ min.* now · upstream orders · 2 alerts/)
    assert.match(words, /RESOLVED critical RedisDown .* from .*\d\d:\d\d:\d\d UTC ?, resolved .*\d\d:\d\d:\d\d/)
  })

  it('list open incidents by severity', async () => {
    const warning = incidentRecord({
      id: 'mw000001-00000000',
      title: 'Warning',
      alerts: [alertRecord({ severity: 'warning' })],
    })
    const words = wordsOf(await ask('/incidents', [warning, incident], HTML))
    assert.match(words, /FIRING critical .*FIRING warning Warning/)
  })

  it('give the beginning of a post-mortem as plain text', async () => {
    const { headers, text } = await ask(`${path}?format=markdown`, [incident], HTML)
    assert.equal(headers['Content-Type'], 'text/plain; charset=utf-8')
    assert.match(text, /^# GatewayHttp500Spike/)
  })

  it('say so when nothing has happened', async () => {
    assert.match(wordsOf(await ask('/incidents', [], HTML)), /No open incidents.*Nothing has happened yet/)
  })

  it('tell an incident: what, why, how often, the proof, when, and what is not known', async () => {
    const words = wordsOf(await ask(path, [incident], HTML))
    for (const said of [
      /Requests to \/orders fail since .* for \d+ min/,
      /orders → 10\.0\.0\.7:9001 broke the connection in 28 of 40 and answered with a 5xx in 12 of 40\./,
      /Runbook Dashboard Silence/,
      /Around the start/,
      /Prometheus does not answer: this is the curve as it was recorded with the alert\./,
      /70 % 28 of 40 orders → 10\.0\.0\.7:9001 broke the connection route \/orders · reason reset other side closed after <n> bytes/,
      /Counted until .*\d\d:\d\d:\d\d, with the evidence of the alert\./,
      /POST \/orders\/17 → 502 reset · 18\.4 ms Trace 0af7651916cd43dd8448eb211c80319c · open it in the gateway/,
      /POST myesi-api · client → orders, 10\.0\.0\.7:9001 reset · other side closed after 512 bytes/,
      /Release 1\.4\.2 began on .* Last scrape without a failure .* First failure .* fired .* resolved/,
      /Alerts · 2, 1 firing/,
      /Missing evidence traces: some could not be opened/,
    ]) {
      assert.match(words, said)
    }
  })

  it('open the first failing request and leave the others closed, marking those that nobody had', async () => {
    const { text } = await ask(path, [incident], HTML)
    const items = text.split('<ol class="traces">')[1]?.split('</section>')[0]?.split('<li>').slice(1) ?? []
    assert.deepEqual(
      items.map(item => /^\s*<details open/.test(item)),
      [true, false, false],
    )
    assert.match(items[0] ?? '', /0af7651916cd43dd8448eb211c80319c/)
    assert.match(items[2] ?? '', /Only its exemplar is known/)
  })

  it('say that evidence is on its way, or that there is none', async () => {
    const alerts = [alertRecord({}, { evidence: undefined })]
    const young = incidentRecord({ alerts, openedAtMs: Date.now() - 1_000 })
    const words = wordsOf(await ask(`/incidents/${young.id}`, [young], HTML))
    assert.match(words, /Evidence of GatewayHttp500Spike \/orders is being gathered; reload this page/)
    const old = incidentRecord({ alerts })
    assert.match(wordsOf(await ask(path, [old], HTML)), /No evidence for GatewayHttp500Spike/)
    assert.match(wordsOf(await ask(path, [old], HTML)), /No curve for .* and none was recorded/)
  })

  it('show what is left of a record that another version wrote', async () => {
    const bare = { fingerprint: '', labels: {}, annotations: {}, startsAtMs: BEGAN }
    const foreign = incidentRecord({ alerts: [bare as unknown as Incident['alerts'][number]] })
    assert.equal((await ask(path, [foreign], HTML)).status, 200)
  })

  for (const text of [
    '<script>window.taken = 1</script>',
    `"><img src=x onerror=window.taken=1>`,
    `' onmouseover='window.taken=1`,
    '</style><script>window.taken=1</script>',
    '</title></svg></table><iframe src=javascript:window.taken=1>',
    'javascript:window.taken=1',
  ]) {
    it(`are not changed by ${text} in every field`, async () => {
      const hostile = hostileRecord(text)
      for (const address of ['/incidents', `/incidents/${hostile.id}`]) {
        const answer = await ask(address, [hostile], HTML)
        assert.equal(answer.status, 200)
        assert.deepEqual([...tagsOf(answer)].sort(), [...tagsOf(await ask(address, [incident], HTML))].sort())
        assert.doesNotMatch(answer.text, /(?:href|src)="\s*(?:javascript|data:text)/i)
        assert.ok(wordsOf(answer).includes(text.trim()), 'it is shown as it is')
      }
    })
  }
})

/** Names of elements and attributes: what text can never add to. */
function tagsOf({ text }: Answer): Set<string> {
  const body = text.replaceAll(/<style>[^]*?<\/style>/g, '')
  const tags = [...body.matchAll(/<([a-z0-9-]+)((?:[^>"]|"[^"]*")*)>/gi)]
  return new Set(
    tags.flatMap(([, name = '', attributes = '']) => [
      name,
      ...[...attributes.matchAll(/([a-z-]+)="[^"]*"/gi)].map(([, attribute]) => `${name} ${attribute}`),
    ]),
  )
}
