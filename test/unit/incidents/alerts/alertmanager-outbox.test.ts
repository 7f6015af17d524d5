import assert from 'node:assert/strict'
import type { Alert } from '../../../../src/incidents/alerts/alert'
import { AlertmanagerOutbox } from '../../../../src/incidents/alerts/alertmanager-outbox'
import { bodyOf, startUpstream } from '../../../support/start-upstream'
import { until } from '../../../support/until'

describe('what is said to an Alertmanager', () => {
  it('is the newest word of each alert, one POST after the other', async () => {
    const posts: Alert[][] = []
    let underWay = 0
    let most = 0
    const alertmanager = await startUpstream((request, response) => {
      most = Math.max(most, ++underWay)
      void bodyOf(request).then(body => {
        posts.push(JSON.parse(body.toString()) as Alert[])
        underWay--
        response.end()
      })
    })
    const outbox = new AlertmanagerOutbox({ url: alertmanager.url, onResult: () => undefined })
    for (let i = 0; i < 100; i++) outbox.put(`a${i % 10}`, alert(`word ${i}`))
    await until(() => outbox.size === 0, { what: 'everything is said' })
    const words = new Set(posts.flat().map(({ annotations }) => annotations['word']))
    assert.deepEqual(words, new Set(Array.from({ length: 10 }, (_, i) => `word ${90 + i}`)))
    assert.equal(most, 1)
  })

  it('waits for an Alertmanager that is down, and counts each failure', async () => {
    const results: boolean[] = []
    const alertmanager = await startUpstream((_request, response) => {
      response.statusCode = results.length < 2 ? 503 : 200
      response.end()
    })
    const outbox = new AlertmanagerOutbox({
      url: alertmanager.url,
      onResult: (_url, error) => results.push(error === undefined),
    })
    outbox.put('a', alert('word'))
    await until(() => outbox.size === 0, { what: 'it is said' })
    assert.deepEqual(results, [false, false, true])
  })

  it('does not say again what was refused, but tells about it', async () => {
    const errors: unknown[] = []
    const alertmanager = await startUpstream((_request, response) => response.writeHead(400).end('bad label'))
    const outbox = new AlertmanagerOutbox({
      url: alertmanager.url,
      onResult: (_url, error) => error !== undefined && errors.push(error),
    })
    outbox.put('a', alert('word'))
    await until(() => outbox.size === 0, { what: 'it is dropped' })
    assert.match(String(errors[0]), /bad label/)
    assert.equal(alertmanager.requests.length, 1)
  })

  it('says what is left once more when it closes, and does not wait for one that is down', async () => {
    const outbox = new AlertmanagerOutbox({ url: 'http://127.0.0.1:1', onResult: () => undefined })
    outbox.put('a', alert('word'))
    await outbox.close()
    assert.equal(outbox.size, 1)
  })
})

function alert(word: string): Alert {
  const endsAt = new Date(Date.now() + 60_000).toISOString()
  return { labels: { alertname: word }, annotations: { word }, startsAt: endsAt, endsAt, generatorURL: '' }
}
