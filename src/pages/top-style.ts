/** The line above a page, with the places it leads to. */
export const TOP_STYLE = `
.top { display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; align-items: baseline; padding: .6rem 1rem; background: var(--surface); border-bottom: 1px solid var(--line); }
.top > a { font-weight: 600; color: var(--ink); text-decoration: none; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration-thickness: 3px; }
nav a, .nowrap { white-space: nowrap; }
`
