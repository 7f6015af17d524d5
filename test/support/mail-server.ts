import type { AddressInfo } from 'node:net'
import { simpleParser, type ParsedMail } from 'mailparser'
import { SMTPServer, type SMTPServerDataStream } from 'smtp-server'

export interface MailServer {
  readonly port: number
  readonly mails: readonly ParsedMail[]
  stop(): Promise<void>
}

/** A real SMTP server that delivers into an array. Without TLS and AUTH, as the mail catcher of the stack. */
export async function startMailServer(): Promise<MailServer> {
  const mails: ParsedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData(stream, _session, callback) {
      void deliver(stream, mails, callback)
    },
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    stop: () => new Promise(resolve => server.close(() => resolve())),
  }
}

async function deliver(
  stream: SMTPServerDataStream,
  mails: ParsedMail[],
  answer: (error?: Error) => void,
): Promise<void> {
  try {
    mails.push(await simpleParser(stream))
    answer()
  } catch (error) {
    answer(error instanceof Error ? error : new Error('unreadable mail'))
  }
}
