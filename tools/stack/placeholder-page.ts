/**
 * The page of a Prometheus or Alertmanager that we built: their Go modules lack the web interface. It says so and links
 * to the API; the query of a link is passed on.
 *
 * @param places name and relative address of the API's resources.
 */
export function placeholderPage(title: string, places: readonly (readonly [name: string, address: string])[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title} without web pages</title>
<style>body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif }</style>
<h1>This ${title} has no web pages</h1>
<p>The local stack built it from its Go module, which does not contain them. Everything else works; the API shows:</p>
<ul>
${places.map(([name, address]) => `<li><a href="/${address}">${name}</a></li>`).join('\n')}
</ul>
<p id="query" hidden>The link you followed asks for: <a></a></p>
<p>To get the pages, put a release of ${title} on the PATH before <code>npm run stack</code>, or use <code>docker compose</code>.</p>
<script>
const query = new URLSearchParams(location.search).get('g0.expr')
if (query !== null) {
  const link = document.querySelector('#query a')
  link.textContent = query
  link.href = '/api/v1/query?query=' + encodeURIComponent(query)
  link.parentElement.hidden = false
}
</script>
</html>
`
}
