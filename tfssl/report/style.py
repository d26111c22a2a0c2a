"""How the report looks: on a phone, on a screen, in the dark, on paper."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1f; --faint: #5a6068; --paper: #fff; --sheet: #f5f6f8; --line: #d9dce1;
  --link: #0b57a4; --up: #0a7040; --down: #b3261e;
  --c0: #0072b2; --c1: #d55e00; --c2: #008060; --c3: #b0568d; --c4: #a87400; --c5: #3a93c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --faint: #a4abb3; --paper: #14161a; --sheet: #1e2126;
  --line: #3a3f47; --link: #8ab8f0; --up: #5fd39a; --down: #ff8f85;
  --c0: #56b4e9; --c1: #ff9a4d; --c2: #35c79a; --c3: #e39bc6; --c4: #e6b94f; --c5: #9ad0ee; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; margin: 0 auto; max-width: 1180px;
  padding: 1.2rem 1rem 4rem; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .4rem 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .5rem; padding-top: .6rem; border-top: 1px solid var(--line);
  scroll-margin-top: .5rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .3rem; }
p, li { max-width: 46rem; } p { margin: .4rem 0 .8rem; } ul { padding-left: 1.2rem; }
a { color: var(--link); } code { font-size: .88em; overflow-wrap: anywhere; }
.note, figcaption, .caption { color: var(--faint); } .note { font-size: .92rem; }
nav { margin: 1rem 0; padding: .6rem .8rem; background: var(--sheet); border-radius: 8px; line-height: 1.9; }
nav a { margin-right: 1.1rem; white-space: nowrap; }
.scroll { overflow-x: auto; margin: .8rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .92rem; }
.caption { font-size: .88rem; margin: 1rem 0 -.4rem; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } tbody th { font-weight: 400; min-width: 7.5rem; max-width: 18rem; }
thead th { border-bottom: 2px solid var(--line); vertical-align: bottom; }
td { max-width: 24rem; overflow-wrap: break-word; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } td.n { white-space: nowrap; }
th.n { max-width: 9rem; } td.n small { white-space: normal; max-width: 9rem; margin-left: auto; }
td small, th small { display: block; color: var(--faint); font-size: .8rem; }
.up { color: var(--up); } .down { color: var(--down); }
.best { font-weight: 700; }
.side { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: .6rem 0 1.2rem; min-width: 0; } figcaption { font-size: .88rem; margin-top: .35rem; max-width: 46rem; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
@media (prefers-color-scheme: dark) { figure img { padding: 6px; } }
svg { display: block; width: 100%; height: auto; max-width: 520px; overflow: visible; }
svg text { font: 12.5px system-ui, sans-serif; fill: var(--ink); } svg .tick { fill: var(--faint); font-size: 12px; }
svg .grid { stroke: var(--line); stroke-width: 1; } svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .dash { stroke-width: 1.5; stroke-dasharray: 6 4; }
.legend { font-size: .85rem; margin: .2rem 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap;
  gap: .1rem 1rem; }
.legend i { display: inline-block; width: 1.3em; height: 0; border-top: 3px solid; vertical-align: middle;
  margin-right: .4em; }
.legend i.dash { border-top-style: dashed; }
details { margin: .6rem 0; } summary { cursor: pointer; color: var(--link); padding: .2rem 0; }
@media (max-width: 600px) { body { font-size: 15px; } h1 { font-size: 1.4rem; } th, td { padding-right: .7rem; }
  tbody th { position: sticky; left: 0; background: var(--paper); max-width: 8rem; overflow-wrap: anywhere; }
  td:not(.n) { min-width: 8.5rem; } .wide { overflow-x: auto; } .wide img { max-width: none; width: 680px; }
  nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; } nav a { margin: 0; padding: .25rem 0; } }
@media print { :root { color-scheme: light; } body { max-width: none; font-size: 10.5pt; } nav { display: none; }
  figure, tr { break-inside: avoid; } h2, h3, .caption { break-after: avoid; } .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; } summary { list-style: none; } }
"""
