import { createHash } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { BinaryMissing, defaultCacheFolder } from '../stack/binaries'
import { buildOnce, executable, isExecutable } from '../stack/go-build'

/** Compiled, this file is dist/tools/backends/kafka.js. */
const POM = resolve(__dirname, '../../../tools/backends/kafka/pom.xml')
const HOW = 'Install Java 17 or later and Maven: https://maven.apache.org/install.html'

/** A broker that can be run: `java -cp LIBRARIES/* kafka.Kafka server.properties`. */
export interface KafkaProgram {
  readonly java: string
  /** The folder of its jars. */
  readonly libraries: string
}

let found: Promise<KafkaProgram> | undefined

/**
 * Finds Apache Kafka: its jars as fetched earlier, or now by Maven into the user's cache folder (45 MB).
 *
 * @throws {BinaryMissing} if it is not available here; the message says how to get it.
 */
export function findKafka(): Promise<KafkaProgram> {
  found ??= fetchKafka()
  return found
}

async function fetchKafka(): Promise<KafkaProgram> {
  const java = await onPath('java')
  if (java === undefined) throw new BinaryMissing(`kafka: no Java to run it. ${HOW}`)
  const hash = createHash('sha256')
    .update(await readFile(POM))
    .digest('hex')
    .slice(0, 8)
  const libraries = join(defaultCacheFolder(), `kafka-${hash}`)
  // Only complete folders are moved there.
  const isBuilt = async (): Promise<boolean> =>
    access(libraries).then(
      () => true,
      () => false,
    )
  if (await isBuilt()) return { java, libraries }
  const maven = await onPath('mvn')
  if (maven === undefined) throw new BinaryMissing(`kafka: no Maven to fetch it. ${HOW}`)
  try {
    await buildOnce({
      what: 'Apache Kafka',
      // The command that makes it; its folder is put on the PATH.
      go: maven,
      target: libraries,
      log: line => process.stderr.write(`${line}\n`),
      isBuilt,
      build: async (draft, step) => {
        const jars = join(draft, 'jars')
        const goal = ['--quiet', '--batch-mode', `--file=${POM}`, 'dependency:copy-dependencies']
        await step('kafka', maven, [...goal, `-DoutputDirectory=${jars}`])
        return jars
      },
    })
  } catch (error) {
    throw new BinaryMissing(`kafka: could not be fetched: ${String(error)}`, { cause: error })
  }
  return { java, libraries }
}

async function onPath(name: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(folder => isAbsolute(folder))
  for (const folder of folders) {
    const path = join(folder, executable(name))
    if (await isExecutable(path)) return path
  }
  return undefined
}
