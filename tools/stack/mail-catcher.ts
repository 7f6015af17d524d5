import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server'
import { mailPage, type CaughtMail } from './mail-page'

export interface MailCatcher {
  readonly smtpPort: number
  /** The page that shows the mails; `/mails` gives them as JSON. */
  readonly url: string
  /** Newest first; the last 100. */
  readonly mails: readonly CaughtMail[]
  stop(): Promise<void>
}

export type { CaughtMail }

const KEPT_MAILS = 100
const MAX_MAIL_BYTES = 1024 * 1024

/** Accepts every mail sent to it on the loopback interface, delivers none, and shows them on a page. */
export async function startMailCatcher(ports: { smtp: number; http: number }): Promise<MailCatcher> {
  const mails: CaughtMail[] = []
  const smtp = new SMTPServer({
    // Alertmanager sends its password only over TLS, which is not needed between two local processes.
    authOptional: true,
    // Avoids a DNS lookup of 127.0.0.1.
    disableReverseLookup: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    size: MAX_MAIL_BYTES,
    // Time limit for senders that are still connected when it stops.
    closeTimeout: 1_000,
    onData(stream, _session, done) {
      void (async () => done(await keep(stream, mails)))()
    },
  })
  // A sender that disconnects in the middle of a mail is not an error here.
  smtp.on('error', () => {})
  const pages = createServer((request, response) => {
    const asJson = request.url === '/mails'
    response.writeHead(200, {
      'content-type': asJson ? 'application/json' : 'text/html; charset=utf-8',
      // The mail's content is untrusted: it is displayed but must not run anything.
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'",
    })
    response.end(asJson ? JSON.stringify(mails) : mailPage(mails))
  })
  await Promise.all([
    new Promise<void>((resolve, reject) => {
      smtp.server.once('error', reject)
      smtp.listen(ports.smtp, '127.0.0.1', resolve)
    }),
    once(pages.listen(ports.http, '127.0.0.1'), 'listening'),
  ])
  return {
    smtpPort: (smtp.server.address() as AddressInfo).port,
    url: `http://127.0.0.1:${(pages.address() as AddressInfo).port}`,
    mails,
    stop: async () => {
      const closed = once(pages.close(), 'close')
      pages.closeAllConnections()
      await Promise.all([closed, new Promise<void>(resolve => smtp.close(resolve))])
    },
  }
}

/** @returns why the mail is rejected; with a permanent code, because after 450 the sender would retry */
async function keep(stream: SMTPServerDataStream, mails: CaughtMail[]): Promise<Error | undefined> {
  const mail = await simpleParser(stream).catch(() => undefined)
  if (mail === undefined) return Object.assign(new Error('the mail cannot be read'), { responseCode: 554 })
  if (stream.sizeExceeded) return Object.assign(new Error('the mail is too big'), { responseCode: 552 })
  mails.unshift(caught(mail))
  mails.length = Math.min(mails.length, KEPT_MAILS)
  return undefined
}

function caught(mail: ParsedMail): CaughtMail {
  const to = [mail.to ?? []].flat().map(address => address.text)
  return {
    from: mail.from?.text ?? '',
    to: to.join(', '),
    subject: mail.subject ?? '',
    date: mail.date ?? new Date(),
    text: mail.text ?? '',
    html: mail.html || '',
  }
}
