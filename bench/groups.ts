import { processesOf, type Batch, type Row } from './rows.ts'
import { STOCK, TELEMETRY_OFF, exporting, forwarder, gateway, row, type Surroundings } from './subjects.ts'
import type { Tree } from './trees.ts'

/** A group of rows that can be chosen on the command line. */
export interface Group {
  readonly title: string
  readonly batches: (tree: Tree, surroundings: Surroundings) => Batch[]
}

export const GROUPS: Readonly<Record<string, Group>> = {
  ladder: { title: 'what telemetry costs', batches: ladder },
}

/** The reference and, as a row, the same program in a process of its own: how far that row is from 1 is the error. */
function references(surroundings: Surroundings): Pick<Batch, 'reference' | 'rows'> {
  const [bare, again] = ['bare', 'bare-again'].map(name => forwarder(name, surroundings))
  return {
    reference: row('bare', 'Express + undici forwarder', bare as Row['process']),
    rows: [row('bare-again', 'the forwarder against itself', again as Row['process'])],
  }
}

function ladder(tree: Tree, surroundings: Surroundings): Batch[] {
  const ours = (name: string, label: string, env: Row['process']['env'] = {}, goal = ''): Row =>
    row(name, label, gateway(name, env, tree, surroundings), { isGateway: true, goal })
  const { reference, rows } = references(surroundings)
  return [
    {
      title: 'telemetry',
      reference,
      base: 'off',
      rows: [
        ...rows,
        ours('off', 'telemetry off', TELEMETRY_OFF, '1.10 × forwarder'),
        ours('off-silent', 'telemetry off, no access log', { ...TELEMETRY_OFF, LOG_LEVEL: 'warn' }),
        ours('full-1', 'full telemetry, 1 % exported', exporting(0.01), '1.25 × off'),
        ours('full-100', 'full telemetry, 100 % exported', exporting(1), '1.35 × off'),
        ours('stock-1', 'stock instrumentations, 1 %', { ...exporting(0.01), ...STOCK }),
        ours('stock-100', 'stock instrumentations, 100 %', { ...exporting(1), ...STOCK }),
      ],
    },
  ]
}

/** Each gateway row of the batch is followed by the same one of the other tree. */
export function besideOld(batch: Batch, old: Batch): Batch {
  const rows = batch.rows.flatMap(row => {
    const twin = row.isGateway ? old.rows.find(({ name }) => name === row.name) : undefined
    return twin === undefined ? [row] : [row, asOld(twin)]
  })
  return { ...batch, rows }
}

function asOld(row: Row): Row {
  const { process } = row
  return {
    ...row,
    name: `${row.name}@old`,
    label: `${row.label}, old`,
    process: { ...process, name: `${process.name}@old` },
    oldOf: row.name,
    goal: '',
  }
}

export function only(batch: Batch, names: readonly string[]): Batch {
  return { ...batch, rows: batch.rows.filter(({ name }) => names.includes(name)) }
}

/** The rows in parts of at most so many processes, each with the reference and the error row; pairs stay together. */
export function inParts(batch: Batch, maxProcesses: number): Batch[] {
  const parts: Batch[] = []
  const [again, others] = [batch.rows.filter(isErrorRow), batch.rows.filter(row => !isErrorRow(row))]
  const units = others
    .filter(row => row.oldOf === undefined)
    .map(row => [row, ...others.filter(old => old.oldOf === row.name)])
  for (const unit of units) {
    const last = parts.at(-1)
    const grown = last && { ...last, rows: [...last.rows, ...unit] }
    if (grown && processesOf(grown).length <= maxProcesses) parts[parts.length - 1] = grown
    else parts.push({ ...batch, rows: [...again, ...unit] })
  }
  return parts.length === 0 ? [batch] : parts
}

function isErrorRow({ name }: Row): boolean {
  return name === 'bare-again'
}
