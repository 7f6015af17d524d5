/** Alerts that `npm run alerts:test` does not provoke until a message has arrived, each with the reason. */
export const NOT_PROVOKED: Readonly<Record<string, string>> = {
  Watchdog:
    'always fires, and goes to an outside dead man’s switch that is not there; runbooks/Watchdog.md has its own check',
  AlertReceiverFailing: 'while the only Alertmanager is down its own message has no way to people',
  RedisMaxmemoryUnset: 'severity info: goes to nobody by intent',
  IncidentEvidencePartial:
    'its cause, a source of evidence that does not answer, would take the evidence from every other alert of the run',
  GatewayTelemetryIncomplete: 'needs a release of a module that its instrumentation does not know',
  GatewayRouteUnavailable: 'needs more than an hour without any success: promtool sees it fire and end',
  IncidentHandoverFailing:
    'needs a second Alertmanager that is away: see test/stack/incidents-never-in-the-way.test.ts',
  GatewayCanaryWorseThanStable:
    'needs a route with a split: test/stack/canary.test.ts sees it fire until its message arrives, and end',
  GatewayAbsent: 'not provoked yet in a recorded run: promtool sees it fire and end',
  GatewayCertificateRefused:
    'not provoked yet in a recorded run: promtool sees it fire and end, and test/signals/listener-tls.test.ts its metric',
  GatewayConfigurationsDiffer:
    'the gateways of the run have different files on purpose, so it could not end: promtool sees it fire and end',
  GatewayRestarting: 'not provoked yet in a recorded run: promtool sees it fire and end',
  RedisFragmentationHigh: 'needs a Redis with more than 256 MiB for half an hour: promtool sees it fire and end',
  CollectorQueueFilling:
    'needs a backend that is slower than its traffic for minutes; one that is down is CollectorBackendFailing, which silences it',
  PrometheusExemplarsMissing:
    'needs a Prometheus without exemplars, which would take the traces from every other alert of the run',
  PrometheusRuleFailures: 'needs a rule that fails; the shipped ones do not',
}
