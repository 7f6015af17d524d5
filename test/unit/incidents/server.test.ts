import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Alert } from '../../../src/incidents/alerts/alert'
import { createIncidentServer } from '../../../src/incidents/server'
import { until } from '../../support/until'

const CHANGES_TOKEN = 'a-token-for-changes-only'

describe('posting alerts to the incident service', () => {
  let server: Server
  let url: string
  let received: Alert[]
  let failures: unknown[]
  let changes: unknown[]
  let mistake: Error | undefined

  beforeEach(async () => {
    received = []
    failures = []
    changes = []
    mistake = undefined
    server = createIncidentServer({
      token: undefined,
      ownHost: undefined,
      receive: alerts => {
        if (mistake) throw mistake
        received.push(...alerts)
      },
      changesToken: CHANGES_TOKEN,
      change: async body => {
        changes.push(body)
        return undefined
      },
      pages: () => Promise.reject(new Error('a mistake of a page')),
      metrics: (_request, response) => response.end(),
      onFailure: error => failures.push(error),
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterEach(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })

  const post = (type: string | undefined): Promise<Response> =>
    fetch(`${url}/api/v2/alerts`, {
      method: 'POST',
      headers: type === undefined ? {} : { 'content-type': type },
      body: new TextEncoder().encode(JSON.stringify([{ labels: { alertname: 'A' } }])),
    })

  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
    it(`takes ${type}`, async () => {
      assert.equal((await post(type)).status, 200)
      assert.equal(received.length, 1)
    })
  }

  // What a page of another site can have a browser send without asking, and what looks like JSON but is not said to be.
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/json',
    'application/jsonx',
    'text/plain; application/json',
    undefined,
  ]) {
    it(`refuses ${type ?? 'no content type'} with 415`, async () => {
      assert.equal((await post(type)).status, 415)
      assert.deepEqual(received, [])
    })
  }

  it('takes changes as JSON with their token only, up to 16 KiB', async () => {
    const change = async (headers: Record<string, string>, text: string): Promise<number> => {
      const response = await fetch(`${url}/changes`, { method: 'POST', headers, body: text })
      await response.arrayBuffer()
      return response.status
    }
    const json = { 'content-type': 'application/json' }
    const allowed = { ...json, authorization: `Bearer ${CHANGES_TOKEN}` }
    assert.equal(await change(json, '{}'), 401)
    assert.equal(await change({ ...allowed, 'content-type': 'text/plain' }, '{}'), 415)
    assert.equal(await change(allowed, JSON.stringify({ what: 'x'.repeat(20_000) })), 413)
    assert.deepEqual(changes, [])
    assert.equal(await change(allowed, '{"what":"orders 1.4.2"}'), 202)
    assert.deepEqual(changes, [{ what: 'orders 1.4.2' }])
  })

  it('answers 500 and says so when the mistake is its own', async () => {
    mistake = new Error('a mistake')
    assert.equal((await post('application/json')).status, 500)
    assert.deepEqual(failures, [mistake])
    assert.equal((await fetch(`${url}/incidents`)).status, 500)
    assert.equal(failures.length, 2)
  })

  it('finds no mistake in a client that breaks off', async () => {
    const accepted = once(server, 'request')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(
      'POST /api/v2/alerts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[',
    )
    const [request] = (await accepted) as [{ destroyed: boolean }]
    socket.destroy()
    await until(() => request.destroyed, { what: 'the server sees it' })
    assert.equal((await post('application/json')).status, 200)
    assert.deepEqual(failures, [])
  })
})
