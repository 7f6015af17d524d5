/** Styles of the incident pages only. */
export const INCIDENT_STYLE = `
section { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; margin-top: 1rem; }
main > nav { margin-bottom: .75rem; }
.heading { border-left: 6px solid var(--bad); padding: .25rem 0 .25rem 1rem; }
.heading.over { border-color: var(--good); }
.heading h1 { margin: .5rem 0 .35rem; }
.lead { font-size: 1.125rem; max-width: 46rem; }
.lead + .lead { margin-top: .15rem; }
.heading .links { margin-top: .9rem; }
.note { color: var(--warn); background: var(--warn-soft); border-radius: 6px; padding: .35rem .6rem; margin-top: .5rem; }
.signatures td:first-child, .signatures th:first-child { width: 30%; min-width: 8.5rem; }
.signatures tbody th { color: var(--ink); font-size: 1rem; }
.signatures tbody th p { font-weight: 400; }
.share-bar { margin-top: .35rem; }
.share-bar .track { fill: var(--raised); } .share-bar .share { fill: var(--bad); }
.message { background: var(--raised); border-radius: 6px; padding: .3rem .5rem; margin-top: .35rem; white-space: pre-wrap; font-size: .8125rem; }
.traces > li { border-top: 1px solid var(--line); padding: .5rem 0; }
.traces > li:first-child { border-top: 0; padding-top: 0; }
.traces summary time { color: var(--muted); margin-right: .35rem; }
.traces details > p { margin: .35rem 0; }
.traces p:target { background: var(--warn-soft); border-radius: 6px; padding: .35rem .6rem; }
.timeline { border-left: 2px solid var(--line); margin-left: .35rem; }
.timeline li { position: relative; display: flex; gap: .9rem; padding: .25rem 0 .25rem 1.1rem; }
.timeline li::before {
  content: ""; position: absolute; left: -6px; top: .75em; width: 10px; height: 10px; border-radius: 50%;
  background: var(--calm); border: 2px solid var(--surface);
}
.timeline .bad::before { background: var(--bad); } .timeline .fired::before { background: var(--warn); }
.timeline .good::before, .timeline .resolved::before { background: var(--good); }
.timeline time { color: var(--muted); flex: none; }
.timeline .bad span { color: var(--bad); font-weight: 600; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin-top: .6rem; }
form label { color: var(--muted); font-size: .875rem; }
form label:has(textarea) { flex: 1 1 18rem; }
textarea, button, select, input { font: inherit; color: var(--ink); background: var(--surface); border: 1px solid var(--calm); border-radius: 6px; padding: .35rem .6rem; }
textarea { display: block; width: 100%; box-sizing: border-box; }
button { font-weight: 600; cursor: pointer; }
.logs > li { padding: .15rem 0; font-size: .8125rem; overflow-wrap: anywhere; }
.notes > li { border-top: 1px solid var(--line); padding: .5rem 0; }
.notes .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.changes > li { padding: .2rem 0; }
.alerts > li { border-top: 1px solid var(--line); padding: .75rem 0; }
.alerts > li:first-child { border-top: 0; padding-top: 0; }
.alerts .links { margin: .5rem 0; }
.labels { display: flex; flex-wrap: wrap; gap: .25rem .5rem; margin-top: .35rem; }
.labels code { background: var(--raised); border-radius: 5px; padding: .05rem .4rem; }
.missing { list-style: disc; padding-left: 1.25rem; }
footer { margin-top: 1.25rem; }
.incidents > li { background: var(--surface); border: 1px solid var(--line); border-left: 6px solid var(--good); border-radius: 10px; padding: .8rem 1rem; margin-top: .75rem; }
.incidents > li.open { border-left-color: var(--bad); }
.incidents h2 { margin: .35rem 0 .15rem; font-size: 1.125rem; }
.empty { margin-top: 1.5rem; }
@media (max-width: 40rem) {
  h1 { font-size: 1.3rem; }
  .lead { font-size: 1.0625rem; }
  .signatures td:first-child, .signatures th:first-child { width: 6.5rem; min-width: 6.5rem; }
  .signatures td > span { display: block; }
}
@media print {
  section { border: 0; padding: 0; }
  .traces details:not([open]) { display: none; }
}
`

/** Styles of the incident curves only. */
export const CURVE_STYLE = `
.bad-time { fill: var(--bad-soft); }
.main-line { stroke: var(--bad); stroke-width: 2.25; fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.other-line { stroke: var(--calm); stroke-width: 1.5; fill: none; vector-effect: non-scaling-stroke; stroke-dasharray: 5 4; }
.ground { fill: var(--bad); opacity: .13; }
.dot { fill: var(--surface); stroke: var(--bad); stroke-width: 2.5; }
a:hover .dot, a:focus .dot { fill: var(--bad); }
.reach { fill: transparent; }
.mark line { stroke-width: 1.5; }
.mark text { font-weight: 600; }
.mark.bad line { stroke: var(--bad); stroke-dasharray: 3 3; } .mark.bad text { fill: var(--bad); }
.mark.fired line { stroke: var(--warn); } .mark.fired text { fill: var(--warn); }
.mark.resolved line { stroke: var(--good); } .mark.resolved text { fill: var(--good); }
.chart text.change { fill: var(--calm); } .legend .change { color: var(--calm); }
`
