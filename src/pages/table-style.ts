/** Wide tables with numbers; on a phone a row becomes a card, whose cells are named by `data-label`. */
export const TABLE_STYLE = `
th, td { padding: .35rem .6rem .35rem 0; }
thead th { overflow-wrap: normal; }
tbody th { color: var(--ink); font-size: 1rem; min-width: 7rem; }
.table td, .table th { overflow-wrap: break-word; }
section:has(> .table) { overflow-x: auto; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.time { white-space: nowrap; }
@media (max-width: 48rem) {
  thead { display: none; }
  tr { display: grid; grid-template-columns: 1fr 1fr; gap: 0 .8rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  tbody th, .table td { min-width: 0; border: 0; }
  td, td.number { border: 0; padding: .1rem 0; text-align: left; white-space: normal; }
  td.wide, th.wide { grid-column: 1 / -1; }
  td::before { content: attr(data-label) " "; color: var(--muted); font-size: .8rem; }
  td:empty { display: none; }
}
`
