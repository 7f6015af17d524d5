/** The first things on a page about the state of something: its heading with concerns, and tiles with numbers. */
export const OVERVIEW_STYLE = `
.heading { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .5rem 2rem; border-left: 6px solid var(--good);
  background: var(--surface); border-radius: 10px; padding: .9rem 1.1rem; }
.heading.bad { border-color: var(--bad); } .heading.warn { border-color: var(--warn); }
.heading > div { flex: 1 1 20rem; min-width: 0; }
.heading h1 { margin: .4rem 0 .1rem; font-size: 1.5rem; }
.heading .pill { text-transform: uppercase; }
.heading .made { text-align: right; }
.concerns li { margin: .2rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: .75rem 0; }
.tiles > div { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: .6rem .9rem; }
.tiles dt { font-size: .875rem; }
.tiles dd { white-space: normal; margin: 0; }
.tiles dt + dd { font-size: 1.5rem; font-weight: 600; line-height: 1.3; }
@media (max-width: 48rem) {
  .heading .made { text-align: left; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .tiles > div { padding: .5rem .7rem; }
  .tiles > div:last-child:nth-child(odd) { grid-column: 1 / -1; }
}
`
