/**
 * Stands in for Slack while there is no webhook: takes what Alertmanager would post, answers as Slack does, and shows the
 * messages on its page. Keeps the last 50 in memory, of at the most 256 KiB each. Port 8026, or PORT.
 */
import { createServer } from 'node:http'

const KEPT_MESSAGES = 50
const MAX_BODY_BYTES = 256 * 1024

/** @type {{ at: Date, payload: { attachments?: { title?: string, title_link?: string, text?: string, color?: string }[] } }[]} */
const messages = []

createServer((request, response) => {
  if (request.method === 'POST') take(request, response)
  else if (request.url === '/messages') send(response, 200, 'application/json', JSON.stringify(messages))
  else if (request.url === '/') send(response, 200, 'text/html; charset=utf-8', page())
  else send(response, 404, 'text/plain', 'not found')
})
  .listen(Number(process.env.PORT ?? 8026), process.env.HOST ?? '0.0.0.0')
  .on('listening', function () {
    process.stdout.write(`${JSON.stringify({ event: 'listening', port: this.address().port })}\n`)
  })

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))

function take(request, response) {
  const chunks = []
  let bytes = 0
  request.on('data', chunk => {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) request.destroy()
    else chunks.push(chunk)
  })
  request.on('end', () => {
    try {
      messages.unshift({ at: new Date(), payload: JSON.parse(Buffer.concat(chunks).toString()) })
    } catch {
      return send(response, 400, 'text/plain', 'invalid_payload')
    }
    messages.length = Math.min(messages.length, KEPT_MESSAGES)
    // Exactly this word: newer Alertmanagers take any other text for a failure.
    send(response, 200, 'text/plain', 'ok')
  })
}

function send(response, status, contentType, body) {
  response.writeHead(status, {
    'content-type': contentType,
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  })
  response.end(body)
}

function page() {
  const shown = messages.flatMap(({ at, payload }) =>
    (payload.attachments ?? []).map(
      ({ title = '', title_link: link = '', text = '', color = '#ccc' }) =>
        `<article style="border-left-color:${escape(color)}"><small>${at.toISOString()}</small>
<h2>${/^https?:/.test(link) ? `<a href="${escape(link)}">${escape(title)}</a>` : escape(title)}</h2><p>${mrkdwn(text)}</p></article>`,
    ),
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Slack catcher</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:720px;margin:24px auto;padding:0 16px}
article{border-left:4px solid;padding:2px 12px;margin:20px 0}h2{font-size:16px;margin:0}p{white-space:pre-line;margin:4px 0}</style>
<h1>What Slack would have been sent</h1>${shown.join('\n') || '<p>Nothing yet.</p>'}</html>`
}

/** As much of Slack's markup as our templates use. The text arrives with &, < and > escaped, so only quotes are left. */
function mrkdwn(text) {
  return text
    .replaceAll('"', '&quot;')
    .replace(/<(https?:[^|>]*)\|([^>]*)>/g, '<a href="$1">$2</a>')
    .replace(/(^|\s)\*([^*\n]+)\*/g, '$1<b>$2</b>')
}

function escape(text) {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}
