import { Html } from './html'

/** The one stylesheet of the pages. Colours say nothing that a word beside them does not say as well. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f5f7; --line: #d9dce1; --text: #1c2128; --faint: #5b6470; --link: #0b57d0;
  --ok: #1a7f37; --fault: #c4201d; --refusal: #8f5a00; --client_closed: #5b6470;
  --server: #4169b8; --client: #6f8f3a; --other: #8a6fb0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c; --raised: #1e232a; --line: #363d47; --text: #e3e7ec; --faint: #98a2ae; --link: #8ab4f8;
    --ok: #57c278; --fault: #ff7b72; --refusal: #e0a43a; --client_closed: #98a2ae;
    --server: #6f98e8; --client: #9cc35a; --other: #b79be0;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; gap: 1.5rem; align-items: baseline; padding: .6rem 1rem; border-bottom: 1px solid var(--line); }
header > a { font-weight: 600; color: var(--text); text-decoration: none; }
nav { display: flex; gap: 1rem; }
main { padding: 1rem; max-width: 110rem; margin: 0 auto; }
a { color: var(--link); }
h1 { font-size: 1.3rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.4rem 0 .5rem; }
code, .mono, td, .bar, .axis { font-variant-numeric: tabular-nums; }
code, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.ok { color: var(--ok); } .fault { color: var(--fault); } .refusal { color: var(--refusal); }
.client_closed { color: var(--client_closed); }
.outcome { font-weight: 600; white-space: nowrap; }
.outcome::before { content: "\\25CF\\00A0"; }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }

form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin-bottom: 1rem; }
label { display: grid; gap: .15rem; font-size: .85rem; color: var(--faint); }
select, input, button { font: inherit; color: var(--text); background: var(--raised); border: 1px solid var(--line);
  border-radius: 4px; padding: .3rem .5rem; min-height: 2.2rem; max-width: 16rem; }
button { font-weight: 600; cursor: pointer; }

table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: .85rem; color: var(--faint); font-weight: 600; }
th, td { padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.time { white-space: nowrap; }
td > a { color: inherit; text-decoration-color: var(--line); text-underline-offset: 3px; }
td.time > a { color: var(--link); }

.axis, .span > summary { display: grid; grid-template-columns: minmax(14rem, 24rem) 1fr 9rem; gap: .8rem; align-items: center; }
.axis { color: var(--faint); font-size: .8rem; padding: 0 0 .2rem; }
.ticks { display: flex; justify-content: space-between; }
.span { border-top: 1px solid var(--line); }
.span > summary { padding: .3rem 0; cursor: pointer; list-style: none; }
.span > summary::-webkit-details-marker { display: none; }
.span > summary:hover, .span[open] > summary { background: var(--raised); }
.name::before { content: "\\25B8"; color: var(--faint); display: inline-block; width: 1em; }
.span[open] .name::before { content: "\\25BE"; }
.name { overflow-wrap: anywhere; }
.name small { color: var(--faint); display: block; padding-left: 1.2em; }
.name .fault, .name .refusal { display: block; padding-left: 1.1em; font-size: .88rem; }
.depth-1 .name { padding-left: 1.2rem; } .depth-2 .name { padding-left: 2.4rem; } .depth-3 .name { padding-left: 3.6rem; }
.depth-4 .name { padding-left: 4.8rem; } .depth-5 .name { padding-left: 6rem; } .depth-6 .name { padding-left: 7.2rem; }
.bar { display: block; width: 100%; height: 1.1rem; background: var(--raised); border-radius: 2px; }
.bar .grid { stroke: var(--line); stroke-width: 1px; }
.bar .server { fill: var(--server); } .bar .client { fill: var(--client); } .bar .other { fill: var(--other); }
.bar .failed { fill: var(--fault); }
.took { text-align: right; white-space: nowrap; }
.inside { padding: .6rem 1rem 1rem 1.2rem; background: var(--raised); }
.inside h3 { font-size: .9rem; margin: .8rem 0 .2rem; } .inside h3:first-child { margin-top: 0; }
ul.links { padding-left: 1.1rem; margin: 0; } ul.links li { margin: .25rem 0; }

@media (max-width: 48rem) {
  .axis { display: none; }
  .span > summary { grid-template-columns: 1fr auto; }
  .span > summary .bar { grid-column: 1 / -1; grid-row: 2; }
  .inside { padding-left: .6rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .3rem; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr 1fr; gap: 0 .8rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td, td.number { border: 0; padding: .1rem 0; text-align: left; white-space: normal; }
  td.wide { grid-column: 1 / -1; }
  td::before { content: attr(data-label) " "; color: var(--faint); font-size: .8rem; }
  td:empty { display: none; }
}
`

export function stylesheet(): Html {
  return new Html(`<style>${STYLE}</style>`)
}
