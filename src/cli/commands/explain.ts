import { isIP } from 'node:net'
import { EXIT_CONFIG, EXIT_USAGE } from '../../config/exit-codes'
import { defineCommand, endWithUsage, print, table } from '../command'
import { explain } from '../explanation'
import { arrivalOf, type TypedRequest } from '../simulated-request'
import { fileOf, readConfig } from '../read-config'

const USAGE = `myesi-gateway explain [METHOD] URL [-H 'name: value']... [--from ADDRESS] [--file FILE]

Says what the gateway would do with a request, and why: which route it matches and which others match too, how its path
is rewritten, which limits apply, and where it is forwarded; or why it is refused. No request is sent.

  myesi-gateway explain GET https://shop.example/api/orders/7
  myesi-gateway explain POST http://localhost:8000/api/orders -H 'x-version: 2' --from 203.0.113.7

  -H, --header   a field of the request; may be repeated
  --from         address of the client that connects; default 127.0.0.1
  --file         the gateway.yaml; default: the file in GATEWAY_CONFIG, or gateway.yaml

Exit code: 0 for every answer about the request, ${EXIT_CONFIG} for an invalid file, ${EXIT_USAGE} for wrong arguments.`

export const command = defineCommand({
  usage: USAGE,
  options: {
    header: { type: 'string', short: 'H', multiple: true },
    from: { type: 'string' },
    file: { type: 'string' },
  },
  mostPositionals: 2,
  async run(values, positionals) {
    const typed = readRequest(positionals, values.header ?? [], values.from ?? '127.0.0.1')
    const config = await readConfig(fileOf(values.file))
    const lines = await explain(
      config,
      typed,
      await arrivalOf(
        typed,
        config.entrypoint,
        config.routes.some(({ rawPath }) => rawPath),
      ),
    )
    print(table(lines.map(([subject, text]) => [subject, text])))
    process.exit()
  },
})

/** Parses the URL by hand: `URL` would normalize it before the gateway sees it. */
function readRequest(positionals: readonly string[], headers: readonly string[], peer: string): TypedRequest {
  const url = positionals.at(-1)
  if (url === undefined || positionals.length > 2) return endWithUsage('A method and a URL are expected.', USAGE)
  const [, scheme = 'http', authority, rest] = /^(?:(https?):\/\/([^/?#]*))?(.*)$/is.exec(url) ?? []
  if (rest === undefined || (authority === undefined && !rest.startsWith('/'))) {
    return endWithUsage(`"${url}" is neither an http URL nor a path.`, USAGE)
  }
  const method = positionals.length === 2 ? (positionals[0] as string).toUpperCase() : 'GET'
  const wrong =
    [method, url, ...headers].find(text => /[\r\n]/.test(text)) ?? headers.find(line => !/^[^:\s]+:/.test(line))
  if (wrong !== undefined) return endWithUsage(`${JSON.stringify(wrong)} is not a line of a request.`, USAGE)
  if (isIP(peer) === 0) return endWithUsage(`--from ${JSON.stringify(peer)} is not an address.`, USAGE)
  return {
    method,
    scheme: scheme.toLowerCase() === 'https' ? 'https' : 'http',
    authority: authority ?? 'localhost',
    target: rest.startsWith('/') ? rest : `/${rest}`,
    headers,
    peer,
  }
}
