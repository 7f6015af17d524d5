import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What Alertmanager posts to an incoming webhook of Slack. */
export interface SlackMessage {
  readonly title: string
  readonly text: string
  readonly color: string
  readonly titleLink: string
}

export interface SlackStandIn {
  /** The webhook's address. */
  readonly url: string
  readonly messages: readonly SlackMessage[]
  stop(): Promise<void>
}

/** A local HTTP server in Slack's place: takes what its webhook takes, and nothing else. */
export async function startSlackStandIn(): Promise<SlackStandIn> {
  const messages: SlackMessage[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const payload = JSON.parse(Buffer.concat(chunks).toString()) as {
        attachments: { title: string; text: string; color: string; title_link: string }[]
      }
      for (const { title, text, color, title_link: titleLink } of payload.attachments) {
        messages.push({ title, text, color, titleLink })
      }
      response.end('ok')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/B0/token`,
    messages,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
