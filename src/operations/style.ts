/** What only the pages of the ops port have. Colours say nothing that a word beside them does not say as well. */
export const OPERATIONS_STYLE = `
body { font-size: 15px; line-height: 1.45; }
main { padding: 1rem; max-width: 110rem; }
main > p { margin: .8rem 0; }
h1 { font-size: 1.3rem; margin: 0 0 .8rem; }
.ok { color: var(--good); } .fault { color: var(--bad); } .refusal { color: var(--warn); }
.client_closed { color: var(--muted); }
.outcome { font-weight: 600; white-space: nowrap; }
.outcome::before { content: "\\25CF\\00A0"; }
.facts { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }

form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin-bottom: 1rem; }
label { display: grid; gap: .15rem; font-size: .85rem; color: var(--muted); }
select, input, button { font: inherit; color: var(--ink); background: var(--surface); border: 1px solid var(--line);
  border-radius: 4px; padding: .3rem .5rem; min-height: 2.2rem; max-width: 16rem; }
button { font-weight: 600; cursor: pointer; }

section { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem; margin-top: .75rem; }
section > h2 a { color: inherit; text-decoration-color: var(--line); }
td > a { color: inherit; text-decoration-color: var(--line); text-underline-offset: 3px; }
td.time > a { color: var(--link); }
.entries li { margin: .35rem 0; }
`
