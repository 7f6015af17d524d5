import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'

/** What answers an extended CONNECT (RFC 8441). */
export interface Handshake {
  readonly stream: ClientHttp2Stream
  readonly status: number
  readonly headers: IncomingHttpHeaders
}

/** Asks for a WebSocket on a stream. */
export async function connectWebSocket(
  session: ClientHttp2Session,
  path: string,
  fields: Record<string, string | undefined> = {},
): Promise<Handshake> {
  // Node's client refuses it otherwise.
  if (!session.remoteSettings.enableConnectProtocol) await once(session, 'remoteSettings')
  const all = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':path': path,
    ':authority': 'localhost',
    'sec-websocket-version': '13',
    ...fields,
  }
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  const stream = session.request(given as Record<string, string>, { endStream: false })
  stream.on('error', () => {})
  stream.once('end', () => stream.end())
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  return { stream, status: Number(headers[':status']), headers }
}

/** A frame of a client (RFC 6455 §5.2) with up to 125 bytes. */
export function clientFrame(text: string, opcode = 1): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const payload = Buffer.from(text).map((byte, i) => byte ^ (mask[i % 4] as number))
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), mask, payload])
}

/** The next short message of the server. */
export async function nextMessage(stream: ClientHttp2Stream): Promise<string> {
  const [frame] = (await once(stream, 'data')) as [Buffer]
  return frame.subarray(2, 2 + (frame[1] as number)).toString()
}
