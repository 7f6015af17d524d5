import type { IncomingMessage, ServerResponse } from 'node:http'
import { COMMON_HEADERS } from '../../pages/send-page'
import type { IncidentLog } from '../record/incident-log'
import { MAX_NAME_CHARACTERS, MAX_NOTE_CHARACTERS, MAX_NOTES } from '../record/notes'
import type { FormTokens } from './form-token'

const ACTION = /^\/incidents\/([^/]+)\/(acknowledge|notes)$/
/** Maximum body: a note of four bytes per character, percent-encoded, and the token. */
const MAX_BODY_BYTES = 32 * 1024

/** Whether a path is that of a form on an incident page. */
export function isAction(path: string): boolean {
  return ACTION.test(path)
}

export interface ActionOptions {
  readonly incidents: Pick<IncidentLog, 'change'>
  readonly tokens: FormTokens
}

/** Handles the forms of an incident page: `POST /incidents/{id}/acknowledge` and `/notes`. */
export function createActions({ incidents, tokens }: ActionOptions) {
  return async function act(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const [, id = '', action] = ACTION.exec(path) ?? []
    // A browser says so when another site sent the form.
    const isForeign = !['same-origin', 'none', undefined].includes(request.headers['sec-fetch-site'])
    const form = await readForm(request)
    if (form === undefined) return refuse(response, 400, 'not a form, or too large')
    const now = Date.now()
    if (isForeign || !tokens.isValid(form.get('token') ?? '', id, now)) {
      return refuse(response, 403, 'the form is too old or not of this page: open the incident again')
    }
    const by = nameOf(request)
    const text = (form.get('text') ?? '').trim().slice(0, MAX_NOTE_CHARACTERS)
    if (action === 'notes' && text === '') return refuse(response, 400, 'the note is empty')
    const changed = await incidents.change(id, incident => {
      if (action === 'acknowledge') return { ...incident, acknowledged: incident.acknowledged ?? { timeMs: now, by } }
      return { ...incident, notes: [...(incident.notes ?? []), { timeMs: now, by, text }].slice(0, MAX_NOTES) }
    })
    if (changed === undefined) return refuse(response, 404, 'no such incident')
    response.writeHead(303, { Location: `../${id}#notes`, ...COMMON_HEADERS }).end()
  }
}

/** The user name of basic authentication: the token is the password under any name. */
function nameOf({ headers: { authorization = '' } }: IncomingMessage): string {
  const [, credentials = ''] = /^Basic +(.+)$/i.exec(authorization) ?? []
  const [name = ''] = Buffer.from(credentials, 'base64').toString().split(':', 1)
  return name.replaceAll(/\p{C}/gu, '').trim().slice(0, MAX_NAME_CHARACTERS) || 'someone'
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (!/^application\/x-www-form-urlencoded *(?:;|$)/i.test(request.headers['content-type'] ?? '')) return undefined
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString())
}

function refuse(response: ServerResponse, status: number, problem: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...COMMON_HEADERS }).end(problem)
}
