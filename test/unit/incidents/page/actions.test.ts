import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createActions } from '../../../../src/incidents/page/actions'
import { FormTokens } from '../../../../src/incidents/page/form-token'
import type { Incident } from '../../../../src/incidents/record/incident'
import { MAX_NOTES } from '../../../../src/incidents/record/notes'
import { incidentRecord } from '../../../support/incident-record'

const BASIC = { authorization: `Basic ${Buffer.from('mona:token').toString('base64')}` }

describe('the forms of an incident page', () => {
  const tokens = new FormTokens('a secret')
  let incident: Incident

  beforeEach(() => {
    incident = incidentRecord()
  })

  async function send(
    action: string,
    form: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
    id = incident.id,
  ): Promise<number> {
    const body = new URLSearchParams(form).toString()
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    const request = Object.assign(Readable.from([Buffer.from(body)]), { headers: { ...type, ...headers } })
    let status = 0
    const response = {
      writeHead: (code: number) => {
        status = code
        return response
      },
      end: () => response,
    }
    const incidents = {
      change: async (wanted: string, change: (found: Incident) => Incident) => {
        if (wanted !== incident.id) return undefined
        return (incident = change(incident))
      },
    }
    const act = createActions({ incidents, tokens })
    await act(
      request as unknown as IncomingMessage,
      response as unknown as ServerResponse,
      `/incidents/${id}/${action}`,
    )
    return status
  }
  const token = (): string => tokens.create(incident.id, Date.now())

  it('acknowledge once, with the name of the login', async () => {
    assert.equal(await send('acknowledge', { token: token() }, BASIC), 303)
    const { acknowledged } = incident
    assert.equal(acknowledged?.by, 'mona')
    assert.equal(await send('acknowledge', { token: token() }), 303)
    assert.deepEqual(incident.acknowledged, acknowledged)
  })

  it('add notes, shortened, up to a maximum', async () => {
    for (let index = 0; index < MAX_NOTES + 2; index++) {
      assert.equal(await send('notes', { token: token(), text: `${index} ${'x'.repeat(5_000)}` }), 303)
    }
    assert.equal(incident.notes?.length, MAX_NOTES)
    assert.deepEqual([incident.notes[0]?.text.length, incident.notes[0]?.by], [2_000, 'someone'])
  })

  it('are refused from other sites, for other incidents, when they are old, empty or too large', async () => {
    const before = incident
    assert.equal(await send('notes', { text: 'x' }), 403)
    assert.equal(await send('notes', { text: 'x', token: tokens.create('other-00000000', Date.now()) }), 403)
    assert.equal(
      await send('notes', { text: 'x', token: tokens.create(incident.id, Date.now() - 3 * 86_400_000) }),
      403,
    )
    assert.equal(
      await send('notes', { text: 'x', token: new FormTokens(undefined).create(incident.id, Date.now()) }),
      403,
    )
    assert.equal(await send('notes', { text: 'x', token: token() }, { 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await send('notes', { text: ' ', token: token() }), 400)
    assert.equal(await send('notes', { text: 'x'.repeat(40_000), token: token() }), 400)
    assert.equal(await send('notes', { text: 'x', token: token() }, { 'content-type': 'text/plain' }), 400)
    const elsewhere = 'other-00000000'
    assert.equal(await send('notes', { text: 'x', token: tokens.create(elsewhere, Date.now()) }, {}, elsewhere), 404)
    assert.equal(incident, before)
  })

  it('work until the next day, on every instance with the same secret', () => {
    const now = Date.UTC(2026, 10, 30, 23, 59)
    const other = new FormTokens('a secret')
    assert.equal(other.isValid(tokens.create('a', now), 'a', now + 3_600_000), true)
    assert.equal(other.isValid('', 'a', now), false)
  })
})
