import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SlackMessage, SlackStandIn } from '../support/slack-stand-in'
import { bodyOf } from '../support/start-upstream'

export interface RefusingSlack extends SlackStandIn {
  refuses: boolean
}

/** Slack's webhook, which can be told to refuse. */
export async function startSlack(): Promise<RefusingSlack> {
  const messages: SlackMessage[] = []
  const slack = { url: '', messages, refuses: false, stop: async (): Promise<void> => undefined }
  const server = createServer((request, response) => {
    void bodyOf(request).then(body => {
      if (slack.refuses) return response.writeHead(403).end('invalid_token')
      const { attachments } = JSON.parse(body.toString()) as {
        attachments: { title: string; text: string; color: string; title_link: string }[]
      }
      for (const { title, text, color, title_link: titleLink } of attachments)
        messages.push({ title, text, color, titleLink })
      return response.end('ok')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  slack.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/B0/token`
  slack.stop = async () => {
    server.close()
    server.closeAllConnections()
  }
  return slack
}
