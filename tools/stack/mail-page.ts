export interface CaughtMail {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly date: Date
  readonly text: string
  readonly html: string
}

/** Shows all mails on one page, newest first; it refreshes itself every 10 s. */
export function mailPage(mails: readonly CaughtMail[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="10">
<title>Mail (${mails.length})</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
  article { border: 1px solid #ccc; border-radius: 6px; margin: 1rem 0; padding: 0 1rem 1rem }
  iframe { border: 0; width: 100% }
  pre { white-space: pre-wrap }
  small { color: #666 }
</style>
<h1>Mail</h1>
<p>What alerts sent by mail. Nothing was delivered.</p>
${mails.length === 0 ? '<p><em>None yet.</em></p>' : mails.map(article).join('\n')}
</html>
`
}

function article({ from, to, subject, date, text, html }: CaughtMail): string {
  // Sandboxed: no script and no form. Links open in a new tab, as in any mail program.
  const sandbox = 'sandbox="allow-popups allow-popups-to-escape-sandbox"'
  const page = escaped(`<base target="_blank">${html}`)
  const body =
    html === ''
      ? `<pre>${escaped(text)}</pre>`
      : `<iframe ${sandbox} title="the mail" style="height: ${heightOf(text)}rem" srcdoc="${page}"></iframe>`
  return `<article>
<h2>${escaped(subject)}</h2>
<p><small>${escaped(from)} to ${escaped(to)}, ${date.toISOString()}</small></p>
${body}
</article>`
}

/**
 * Estimates the height of a mail's frame, because without scripts a frame cannot adapt to its content. Computed from
 * the text version, with room for lines that a narrow window wraps; at most 600 lines, more than Alertmanager's
 * templates have.
 */
function heightOf(text: string): number {
  const lines = text.split('\n').reduce((sum, line) => sum + 1 + Math.floor(line.length / 45), 0)
  return Math.ceil(16 + 1.7 * Math.min(lines, 600))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
