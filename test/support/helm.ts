import assert from 'node:assert/strict'
import { parseAllDocuments } from 'yaml'
import { CHART } from '../../tools/kubernetes/chart-files'
import { findHelm } from '../../tools/kubernetes/programs'
import { ROOT } from '../monitoring/monitoring-files'
import type { KubernetesObject } from './start-kubernetes'
import { plainEnvironment, runProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'

const TIMEOUT_MS = 120_000

/** @param kubeconfig undefined: no cluster is asked */
export async function tryHelm(
  args: readonly string[],
  kubeconfig = '/dev/null',
): Promise<{ code: number | null | undefined; output: string }> {
  const folder = temporaryFolder()
  const homes = { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder }
  const env = plainEnvironment({ ...homes, KUBECONFIG: kubeconfig })
  const { exit, lines } = await runProcess({ name: 'helm', path: await findHelm(), args, cwd: ROOT, env }, TIMEOUT_MS)
  return { code: exit?.code, output: lines.join('\n') }
}

export async function runHelm(args: readonly string[], kubeconfig?: string): Promise<string> {
  const { code, output } = await tryHelm(args, kubeconfig)
  assert.equal(code, 0, `helm ${args.join(' ')}\n${output}`)
  return output
}

/** The objects of the chart, as release `gw`. */
export async function renderChart(namespace: string, values: readonly string[]): Promise<KubernetesObject[]> {
  const text = await runHelm(['template', 'gw', CHART, `--namespace=${namespace}`, ...values])
  return parseAllDocuments(text)
    .map(document => document.toJS() as KubernetesObject | null)
    .filter(object => object !== null)
}
