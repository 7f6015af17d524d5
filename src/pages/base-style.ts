/**
 * What all pages look like: the colours of light and dark, type, links, tables, marks. Each colour of text has a contrast of at
 * least 4.5 to every ground it stands on (WCAG 2.2, 1.4.3); a test computes it.
 */
export const BASE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f4f6f8; --surface: #ffffff; --raised: #eef1f4; --line: #d3dae1;
  --ink: #17202a; --muted: #55606c; --link: #0a56b8;
  --bad: #b3151f; --bad-soft: #fbe9e9; --good: #12692f; --good-soft: #e2f3e7;
  --warn: #855300; --warn-soft: #fdf1d8; --calm: #3f6fa8;
  --server: #4169b8; --client: #5c7a2c; --other: #7d60a6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e1319; --surface: #161d26; --raised: #1f2833; --line: #313d4b;
    --ink: #e7edf3; --muted: #a3b0bd; --link: #83bcff;
    --bad: #ff8780; --bad-soft: #3a1a1d; --good: #67d58b; --good-soft: #12301e;
    --warn: #f0bd57; --warn-soft: #35290f; --calm: #7fa8dc;
    --server: #6f98e8; --client: #9cc35a; --other: #b79be0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
}
main { max-width: 62rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.0625rem; line-height: 1.3; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 3px; }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .9em; }
.muted { color: var(--muted); }
.small { font-size: .875rem; }
.bad-text { color: var(--bad); } .warn-text { color: var(--warn); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; font-size: .875rem; color: var(--muted); }
th, td { padding: .5rem .75rem .5rem 0; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; padding-top: 0; }
ul, ol { margin: 0; padding: 0; list-style: none; }
dl { display: grid; grid-template-columns: fit-content(20rem) minmax(0, 1fr); gap: .15rem 1rem; margin: 0; }
dt { color: var(--muted); }
dd { margin: 0; white-space: pre-wrap; }
summary { cursor: pointer; }
.pill {
  display: inline-block; padding: .1rem .6rem; border-radius: 99px; font-size: .8125rem; font-weight: 700; letter-spacing: .02em;
  background: var(--raised); color: var(--muted); border: 1px solid currentColor; white-space: nowrap;
  max-width: 100%; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom;
}
.pill.bad { background: var(--bad-soft); color: var(--bad); }
.pill.good { background: var(--good-soft); color: var(--good); }
.pill.warn { background: var(--warn-soft); color: var(--warn); }
.links { display: flex; flex-wrap: wrap; gap: .5rem; }
.links a {
  display: inline-block; padding: .4rem .8rem; border: 1px solid var(--line); border-radius: 8px; background: var(--surface);
  text-decoration: none; font-weight: 600; font-size: .9375rem;
}
.links a:hover { border-color: var(--link); }
svg { display: block; }
@media (max-width: 48rem) { dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .3rem; } }
@media print {
  :root { color-scheme: light; --ground: #fff; --surface: #fff; --raised: #fff; }
  body { font-size: 11pt; }
  main { max-width: none; padding: 0; }
  .links a[href^="http"]::after { content: " " attr(href); font-weight: 400; font-size: .75rem; }
}
`
