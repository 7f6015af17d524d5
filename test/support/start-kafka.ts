import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { findKafka } from '../../tools/backends/kafka'
import { freePort } from './free-port'
import { plainEnvironment, runProcess, startProcess, type TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

export interface RunningKafka {
  /** `127.0.0.1:PORT`. */
  readonly address: string
  stop(): Promise<void>
  /** After `stop`: the same again, with its topics and on the same port. */
  startAgain(): Promise<void>
}

/** A real Apache Kafka, one node, on free loopback ports; a topic has `partitions` partitions from its first message on. */
export async function startKafka(partitions = 4): Promise<RunningKafka> {
  const { java, libraries } = await findKafka()
  const folder = temporaryFolder()
  const [port, controller] = [await freePort(), await freePort()]
  const properties = join(folder, 'server.properties')
  writeFileSync(
    properties,
    [
      'process.roles=broker,controller',
      'node.id=1',
      `controller.quorum.voters=1@127.0.0.1:${controller}`,
      `listeners=BROKER://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
      `advertised.listeners=BROKER://127.0.0.1:${port}`,
      'listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.listener.names=CONTROLLER',
      'inter.broker.listener.name=BROKER',
      `log.dirs=${join(folder, 'data')}`,
      `num.partitions=${partitions}`,
      'offsets.topic.num.partitions=1',
      'offsets.topic.replication.factor=1',
      // The first member of a group would wait three seconds for others.
      'group.initial.rebalance.delay.ms=0',
      'controlled.shutdown.enable=false',
    ].join('\n'),
  )
  const run = (main: string, ...args: readonly string[]) => ({
    name: 'kafka',
    path: java,
    // A small heap, and no compiler that optimises for hours.
    args: ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(libraries, '*'), main, ...args],
    env: plainEnvironment(),
  })
  const cluster = randomBytes(16).toString('base64url')
  const format = await runProcess(
    run('kafka.tools.StorageTool', 'format', `--config=${properties}`, `--cluster-id=${cluster}`),
  )
  if (format.exit?.code !== 0) throw format.failure('could not format its folder')
  const launch = async (): Promise<TestProcess> => {
    const broker = startProcess(run('kafka.Kafka', properties))
    const isUp = async (): Promise<boolean> => broker.exit !== undefined || answers(port)
    await until(isUp, { what: 'Kafka takes connections', timeoutMs: 60_000 })
    if (broker.exit !== undefined) throw broker.failure('ended before it took connections')
    return broker
  }
  let broker = await launch()
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      await broker.stop()
    },
    startAgain: async () => {
      broker = await launch()
    },
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const finish = (isUp: boolean) => (): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('connect', finish(true)).once('error', finish(false))
  })
}
