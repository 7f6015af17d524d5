/** The answers to the questions of `init`, as typed. */
export interface Answers {
  readonly upstream: string
  readonly path: string
  /** Requests per minute. */
  readonly limit: string
}

/** A commented `gateway.yaml` with one route. */
export function firstGatewayFile({ upstream, path, limit }: Answers, schema: string | undefined): string {
  const editorLine = schema === undefined ? '' : `# yaml-language-server: $schema=${schema}\n\n`
  const limitLines =
    Number(limit) === 0
      ? `    # rateLimit: { limit: 100, window: 1m } # requests of each client\n`
      : `    # For each client. Counted in memory; with REDIS_URL, counted for all replicas together.\n` +
        `    rateLimit: { limit: ${scalar(limit)}, window: 1m }\n`
  return `${editorLine}# Routes, upstreams and limits of the gateway. Every key: docs/configuration.md of the package.
# \${NAME} and \${NAME:-default} are filled in from the environment. A running gateway applies changes of this file at once.

upstreams:
  backend:
    # Several targets take turns; one that fails repeatedly is ejected until it answers.
    targets:
      - ${scalar(upstream)}
    timeouts:
      connect: 1s
      response: 30s

# The most specific route matches; the order here does not matter.
routes:
  # This path and everything below it. \`myesi-gateway explain GET /path\` shows what the gateway would do.
  - name: main
    match: { path: ${scalar(path)} }
    upstream: backend
${limitLines}`
}

/** Formats a YAML scalar; quoted unless it is safe as a plain scalar. */
function scalar(text: string): string {
  return /^[\w/][\w/.:*-]*$/.test(text) && !text.endsWith(':') ? text : JSON.stringify(text)
}
