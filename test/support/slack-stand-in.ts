import { bodyOf, startUpstream } from './start-upstream'

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
  const server = await startUpstream((request, response) => {
    bodyOf(request).then(
      body => {
        const payload = JSON.parse(body.toString()) as {
          attachments: { title: string; text: string; color: string; title_link: string }[]
        }
        for (const { title, text, color, title_link: titleLink } of payload.attachments) {
          messages.push({ title, text, color, titleLink })
        }
        response.end('ok')
      },
      () => response.destroy(),
    )
  })
  return { url: `${server.url}/services/T0/B0/token`, messages, stop: () => server.stop() }
}
