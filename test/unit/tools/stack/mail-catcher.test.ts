import assert from 'node:assert/strict'
import { startMailCatcher, type MailCatcher } from '../../../../tools/stack/mail-catcher'
import { openRaw } from '../../../support/raw-http'
import { until } from '../../../support/until'

interface Mail {
  readonly subject: string
  readonly body: string
  readonly headers?: string
}

/** Speaks SMTP as a sender does: any number of mails on one connection. @returns all that the server said */
async function send(catcher: MailCatcher, ...mails: readonly Mail[]): Promise<string> {
  const connection = await openRaw(catcher.smtpPort)
  await connection.waitFor('220 ')
  connection.send('EHLO test\r\n')
  await connection.waitFor(/250 .*\r\n$/)
  for (const { subject, body, headers = '' } of mails) {
    connection.send('MAIL FROM:<alerts@example.com>\r\nRCPT TO:<oncall@example.com>\r\nDATA\r\n')
    await connection.waitFor(/354 .*\r\n$/)
    const fields = `From: alerts@example.com\r\nTo: oncall@example.com\r\nSubject: ${subject}\r\n${headers}`
    // In one piece: the second of two small ones would wait for the first one's acknowledgement, 40 ms a mail.
    connection.send(`${fields}\r\n${body}\r\n.\r\n`)
    await connection.waitFor(/354 .*\r\n[245]\d\d .*\r\n$/)
  }
  connection.send('QUIT\r\n')
  return connection.closed()
}

describe('the mail catcher', () => {
  let catcher: MailCatcher

  beforeEach(async () => {
    catcher = await startMailCatcher({ smtp: 0, http: 0 })
  })

  afterEach(() => catcher.stop())

  it('keeps a mail and shows it', async () => {
    await send(catcher, { subject: 'RedisDown', body: 'Redis is gone.' })
    await until(() => catcher.mails.length === 1, { what: 'the mail' })
    const [mail] = (await (await fetch(`${catcher.url}/mails`)).json()) as Record<string, string>[]
    assert.equal(mail?.['subject'], 'RedisDown')
    assert.equal(mail?.['to'], 'oncall@example.com')
    assert.match(mail?.['text'] ?? '', /^Redis is gone\./)
    assert.match(await (await fetch(catcher.url)).text(), /<h2>RedisDown<\/h2>/)
  })

  it('shows what a stranger wrote and runs nothing of it', async () => {
    const body = '<p>"quoted"</p><script>b()</script>'
    await send(catcher, { subject: '<script>a()</script>', body, headers: 'Content-Type: text/html\r\n' })
    await until(() => catcher.mails.length === 1, { what: 'the mail' })
    const response = await fetch(catcher.url)
    const page = await response.text()
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'/)
    assert.doesNotMatch(page, /<script/)
    assert.match(
      page,
      /<iframe sandbox="allow-popups [a-z-]*" title="the mail" style="height: \d+rem" srcdoc="[^"]*&lt;p&gt;&quot;quoted&quot;/,
    )
  })

  it('shows the whole of a long mail', async () => {
    const lines = Array.from({ length: 100 }, (_, index) => `<p>line ${index}</p>`).join('\r\n')
    await send(catcher, { subject: 'long', body: lines, headers: 'Content-Type: text/html\r\n' })
    await until(() => catcher.mails.length === 1, { what: 'the mail' })
    const [, height] = /style="height: (\d+)rem"/.exec(await (await fetch(catcher.url)).text()) ?? []
    assert.ok(Number(height) > 150, `${height} rem for 100 paragraphs`)
  })

  it('keeps the last 100 mails, the newest first', async () => {
    await send(catcher, ...Array.from({ length: 102 }, (_, index) => ({ subject: `mail ${index + 1}`, body: 'text' })))
    await until(() => catcher.mails[0]?.subject === 'mail 102', { what: 'the last mail' })
    assert.equal(catcher.mails.length, 100)
    assert.equal(catcher.mails.at(-1)?.subject, 'mail 3')
  })

  it('refuses a mail above a megabyte', async () => {
    const answer = await send(catcher, { subject: 'too big', body: `${'x'.repeat(998)}\r\n`.repeat(1_100) })
    assert.match(answer, /\r\n552 /)
    assert.equal(catcher.mails.length, 0)
  })
})
