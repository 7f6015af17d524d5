/** What all charts have. */
export const CHART_STYLE = `
figure { margin: 0; }
figure + figure { margin-top: 1.5rem; }
figcaption { margin-top: .35rem; }
.plot { display: flex; } .plot > .values { flex: none; } .plot > .chart { flex: 1; min-width: 0; }
.values { font-size: 12px; } .values text { fill: var(--muted); }
.chart { overflow: visible; font-size: 12px; }
.chart text { fill: var(--muted); paint-order: stroke; stroke: var(--surface); stroke-width: 3px; stroke-linejoin: round; }
.grid { stroke: var(--line); stroke-width: 1; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; color: var(--muted); margin-top: .4rem; }
.legend li { display: flex; align-items: center; gap: .4rem; }
`
