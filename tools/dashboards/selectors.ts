/** Label matchers of every query. `npm run monitoring -- --out` replaces the jobs by those of another installation. */
export const GATEWAY = 'job="myesi-api",instance=~"$instance"'
export const ROUTE = `${GATEWAY},http_route=~"$route"`
export const UPSTREAM = `${GATEWAY},gateway_upstream_name=~"$upstream"`
export const REDIS = 'job="redis"'
export const COLLECTOR = 'job="otel-collector"'

/** `rate()` over at least four scrapes, whatever the width of the panel. */
export function rate(selector: string): string {
  return `rate(${selector}[$__rate_interval])`
}

/** Increase within the time range of the dashboard. */
export function increase(selector: string): string {
  return `increase(${selector}[$__range])`
}

export function quantile(q: number, bucketSelector: string, ...by: readonly string[]): string {
  return `histogram_quantile(${q}, sum by (${[...by, 'le'].join(', ')}) (${rate(bucketSelector)}))`
}
