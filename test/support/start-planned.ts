import { untilReady, type ComponentPlan } from '../../tools/stack/component'
import { plainEnvironment, startProcess, type TestProcess } from './start-process'

/** A program of the stack, started as `npm run stack` starts it, once it is ready. */
export async function startPlanned(plan: ComponentPlan): Promise<TestProcess> {
  const child = startProcess({ ...plan, env: plainEnvironment(plan.env) })
  await untilReady(child, plan)
  return child
}
