import { lasted } from '../../pages/times'
import { differencesOf } from './differences'
import { runbookSuggestion } from '../evidence/resolution'
import { statusesInWords } from '../evidence/statuses'
import { placeOf, saidOf } from '../evidence/signatures'
import type { Incident } from '../record/incident-record'
import { MAX_NOTE_CHARACTERS } from '../record/notes'
import { tell } from './story'

/** Maximum characters of a text from outside. */
const MAX_TEXT = 300

/** A post-mortem draft in Markdown: the known facts, and the questions that only people can answer. */
export function postMortem(incident: Incident, now: number): string {
  const story = tell(incident, now)
  const evidence = incident.alerts.flatMap(({ evidence: known, labels }) => (known ? [{ known, labels }] : []))
  const differences = differencesOf(incident.alerts)
  const statuses = evidence.map(({ known }) => known.statuses).find(({ length }) => length > 0) ?? []
  const suggestion = evidence.map(({ known }) => runbookSuggestion(known)).find(found => found !== undefined)
  const spent = evidence.map(({ known }) => known.budget?.spent).find(found => found !== undefined)
  const lines = [
    `# ${text(incident.title)}`,
    '',
    `${text(story.what)} ${text(story.why)}`.trim(),
    '',
    '## Impact',
    '',
    `- First failure: ${moment(story.sinceMs)}`,
    `- Last failure: ${story.lastBadMs === undefined ? 'not known' : moment(story.lastBadMs)}`,
    ...(story.lastBadMs === undefined ? [] : [`- Duration: ${lasted(Math.max(0, story.lastBadMs - story.sinceMs))}`]),
    ...(spent === undefined ? [] : [`- Error budget of the month spent: ${Number((spent * 100).toPrecision(2))} %`]),
    ...(statuses.length === 0 ? [] : [`- Statuses: ${text(statusesInWords(statuses))}`]),
    ...story.signatures.map(
      signature =>
        `- ${signature.count} of ${signature.total}: ${text(`${placeOf(signature)} ${saidOf(signature)}`)}, route ${code(signature.route)}`,
    ),
    '',
    '## What was different',
    '',
    ...listOr(
      [...new Set(differences)].map(line => text(line)),
      'Nothing set the failing requests apart from the good ones, or there was too little to compare.',
    ),
    '',
    '## Timeline (UTC)',
    '',
    ...story.timeline.map(({ timeMs, what }) => `- ${moment(timeMs)} ${text(what)}`),
    '',
    '## Requests that prove it',
    '',
    ...listOr(
      story.traces.map(({ traceId, method, path, status }) => {
        const request = [method, path, status].filter(part => part !== undefined).join(' ')
        return `${code(traceId)} ${text(request)}`
      }),
      'None was kept.',
    ),
    '',
    ...(incident.acknowledged === undefined && incident.notes === undefined
      ? []
      : [
          '## Notes',
          '',
          ...(incident.acknowledged === undefined
            ? []
            : [`- ${moment(incident.acknowledged.timeMs)} acknowledged by ${text(incident.acknowledged.by)}`]),
          ...(incident.notes ?? []).map(
            note => `- ${moment(note.timeMs)} ${text(note.by)}: ${text(note.text, MAX_NOTE_CHARACTERS)}`,
          ),
          '',
        ]),
    '## To be written',
    '',
    '- Cause:',
    '- What made it better:',
    '- What went well, what did not:',
    `- What the runbook should say:${suggestion === undefined ? '' : ` ${text(suggestion)}`}`,
    '- Actions:',
  ]
  return `${lines.join('\n')}\n`
}

function listOr(items: readonly string[], otherwise: string): string[] {
  return items.length === 0 ? [otherwise] : items.map(item => `- ${item}`)
}

/** `2026-11-30 15:12:27`. */
function moment(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')
}

/** Escapes text from outside: it cannot end a line or create a link, an image or HTML. */
function text(raw: string, max = MAX_TEXT): string {
  return raw
    .replaceAll(/\p{C}/gu, ' ')
    .slice(0, max)
    .replaceAll(/[\\`*_{}[\]<>#|!~]/g, String.raw`\$&`)
}

function code(raw: string): string {
  return `\`${raw.replaceAll(/[\p{C}`]/gu, ' ').slice(0, MAX_TEXT)}\``
}
