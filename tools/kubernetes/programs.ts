import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import { BinaryMissing, defaultCacheFolder } from '../stack/binaries'
import { debianRelease, fetchDebianPrograms } from '../stack/debian-packages'
import { findGo, isExecutable } from '../stack/go-build'
import { findPinned } from '../stack/pinned-program'

const run = promisify(execFile)
/** Three module archives, 40 MB together. */
const DOWNLOAD_TIMEOUT_MS = 600_000

/** Folders with CustomResourceDefinitions, in the modules of the operators that the chart has objects for. */
const OPERATORS = [
  { module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0', folder: 'example/prometheus-operator-crd' },
  { module: 'github.com/kedacore/keda/v2@v2.21.0', folder: 'config/crd/bases' },
  { module: 'github.com/cert-manager/cert-manager@v1.21.2', folder: 'deploy/crds' },
] as const

/** Finds or builds Helm; a build takes about four minutes on two busy cores. */
export function findHelm(): Promise<string> {
  const command = 'helm.sh/helm/v4/cmd/helm'
  return findPinned({ name: 'helm', folder: 'tools/kubernetes/helm', command, linkerFlags: '-s -w' })
}

/** Finds or builds the API server of Kubernetes; a build takes six minutes on two cores, more on busy ones, and 105 MB. */
export function findApiServer(): Promise<string> {
  const command = 'k8s.io/kubernetes/cmd/kube-apiserver'
  // Helm asks for the version; without this flag it is a placeholder.
  const linkerFlags = '-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3'
  return findPinned({ name: 'kube-apiserver', folder: 'tools/kubernetes/api-server', command, linkerFlags })
}

/**
 * Finds etcd: on the `PATH`, or unpacked from Debian's package.
 *
 * @throws {BinaryMissing} if neither is there.
 */
export async function findEtcd(): Promise<string> {
  const onPath = (process.env['PATH'] ?? '').split(':').map(folder => join(folder, 'etcd'))
  for (const path of onPath) if (await isExecutable(path)) return path
  const release = await debianRelease()
  const how = 'Install etcd: https://etcd.io/docs/latest/install/'
  if (release === undefined) throw new BinaryMissing(`etcd: not on the PATH. ${how}`)
  const folder = join(defaultCacheFolder(), `${release}-etcd`)
  try {
    const log = (line: string): boolean => process.stderr.write(`${line}\n`)
    await fetchDebianPrograms(folder, { 'etcd-server': { etcd: 'usr/bin/etcd' } }, log)
  } catch (error) {
    throw new BinaryMissing(`etcd: could not be fetched: ${String(error)}. ${how}`, { cause: error })
  }
  return join(folder, 'bin/etcd')
}

/**
 * Finds the CustomResourceDefinitions of the Prometheus operator, KEDA and cert-manager, in the module archives of their
 * releases.
 *
 * @returns paths of YAML files
 * @throws {BinaryMissing} if the archives cannot be had.
 */
export async function findCustomResources(): Promise<string[]> {
  const go = await findGo()
  if (go === undefined) throw new BinaryMissing('CustomResourceDefinitions: no Go to fetch them. https://go.dev/dl/')
  const files: string[] = []
  for (const { module, folder } of OPERATORS) {
    try {
      const options = { cwd: tmpdir(), timeout: DOWNLOAD_TIMEOUT_MS, env: { ...process.env, GOWORK: 'off' } }
      const { stdout } = await run(go, ['mod', 'download', '-json', module], options)
      const path = join((JSON.parse(stdout) as { Dir: string }).Dir, folder)
      const names = (await readdir(path)).filter(name => name.endsWith('.yaml'))
      files.push(...names.map(name => join(path, name)))
    } catch (error) {
      throw new BinaryMissing(`CustomResourceDefinitions of ${module}: ${String(error)}`, { cause: error })
    }
  }
  return files
}
