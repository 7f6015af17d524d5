/** What only the status page has. */
export const STATUS_STYLE = `
.curves { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1rem 2rem; margin-top: 0; }
.curves figure + figure { margin: 0; }
.curves .focus { grid-column: 1 / -1; }
.routes th[scope=row] { font-size: 1rem; min-width: 9rem; }
.routes th[scope=row] > a { color: var(--ink); text-decoration-color: var(--line); }
.routes th[scope=row] > code, .routes th[scope=row] > span, .burn { display: block; font-weight: 400; }
.routes .number { padding-left: .6rem; }
.routes td { vertical-align: middle; }
.routes .picture { padding-left: 1.2rem; }
.routes td.picture { width: 21%; min-width: 8rem; padding-right: 1.2rem; }
.routes .variant th[scope=row] { font-weight: 500; padding-left: 1.2rem; }
.routes .chosen { background: var(--raised); }
.more { margin-top: .6rem; }
.cards { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; margin: .75rem 0; }
.cards dd { white-space: normal; }
.cards section { margin: 0; min-width: 0; }
.cards .whole { grid-column: 1 / -1; }
@media (max-width: 60rem) {
  .curves, .cards { grid-template-columns: minmax(0, 1fr); }
}
@media (max-width: 48rem) {
  .routes th[scope=row], .routes td.picture { width: auto; min-width: 0; padding: .1rem 0; }
  .routes th[scope=row] { border: 0; flex: 1 0 100%; }
  .routes tr, .failures tr { display: flex; flex-wrap: wrap; gap: 0 1rem; }
  .routes td.picture { flex: 1 0 40%; padding: .35rem 0; }
  .routes .number { order: 1; }
  .routes .number, .routes .picture { padding-left: 0; }
  .failures td::before { content: none; }
  .failures td.wide { flex: none; max-width: 100%; }
}
`
