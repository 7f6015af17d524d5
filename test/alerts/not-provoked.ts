/** Alerts that `npm run alerts:test` does not provoke until a message has arrived, each with the reason. */
export const NOT_PROVOKED: Readonly<Record<string, string>> = {
  Watchdog:
    'always fires, and goes to an outside dead man’s switch that is not there; runbooks/Watchdog.md has its own check',
  RedisMaxmemoryUnset: 'severity info: goes to nobody by intent',
}
