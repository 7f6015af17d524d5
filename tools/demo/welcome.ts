/** The text printed once the gateway listens: addresses and things to try. */
export function welcome(port: number | undefined, opsPort: number | undefined, withDemo: boolean): string {
  const url = `http://127.0.0.1:${port}`
  const nowhere = process.platform === 'win32' ? 'NUL' : '/dev/null'
  const tries = [
    ['a request through it', `curl ${url}/demo/echo`],
    ['an upstream that fails', `curl -i ${url}/demo/status/503`],
    ['one that takes its time', `curl ${url}/demo/delay/1500`],
    ['one that streams', `curl -N "${url}/demo/stream?chunks=5&interval=500"`],
    ['the rate limit (20 a minute)', `curl -s -o ${nowhere} -w "%{http_code} " "${url}/api/orders?n=[1-25]"`],
    ['what it says about all that', `curl ${url}/metrics`],
  ] as const
  return [
    '',
    `  myesi-gateway is up`,
    '',
    `    gateway      ${url}`,
    `    metrics      ${url}/metrics`,
    `    operations   http://127.0.0.1:${opsPort}`,
    ...(withDemo ? ['', '  Try:', ...tries.map(([what, command]) => `    ${what.padEnd(30)} ${command}`)] : []),
    '',
    '  Ctrl-C stops it.',
    '',
  ].join('\n')
}
