#include "eval/html/assets.h"

namespace fathom::eval::html {

// Families are told apart by shape and by the palette of Okabe and Ito, which colour-blind people
// can tell apart; in the dark by its lighter tones.
std::string_view style() {
  return R"CSS(
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #1c2024; --soft: #5b6570; --line: #e3e0d8;
  --cell: #f0eee8; --heat: 0, 90, 150; --accent: #0072b2; --good: #00704f; --bad: #b04400;
  --dense: #1c2024; --keep: #0072b2; --fetch: #d55e00; --store: #009e73; --prefill: #b3558b;
  --mixed: #c98a00; --control: #8a929a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1c2125; --ink: #e8e6e1; --soft: #9aa5ae; --line: #30373d;
    --cell: #262c31; --heat: 86, 180, 233; --accent: #56b4e9; --good: #3fc79a; --bad: #f0964f;
    --dense: #f2efe8; --keep: #56b4e9; --fetch: #f0783c; --store: #2fbf95; --prefill: #dd8fbb;
    --mixed: #f0b93a; --control: #7d868e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 0 20px 80px; }
header { padding: 56px 0 8px; }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.6rem); line-height: 1.15; margin: 0 0 10px;
     letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 0 0 6px; letter-spacing: -0.01em; }
h3 { font-size: 1rem; margin: 0; }
.kicker { color: var(--accent); font-weight: 600; font-size: .85rem; letter-spacing: .06em;
          text-transform: uppercase; margin: 0 0 8px; }
.lead, .note { color: var(--soft); max-width: 74ch; margin: 0 0 18px; }
.note { font-size: .88rem; margin: 10px 0 0; }
section { margin-top: 52px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 14px;
         margin-top: 26px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
        padding: 16px 18px; min-width: 0; }
.card .what { color: var(--soft); font-size: .85rem; }
.card .big { font-size: 1.7rem; font-weight: 650; letter-spacing: -0.02em; line-height: 1.25;
             font-variant-numeric: tabular-nums; }
.card .who { font-size: .85rem; overflow-wrap: anywhere; }
code, .name { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
              font-size: .86em; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px;
      overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .84rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr));
          gap: 14px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
         padding: 14px 10px 6px; }
.chart figcaption { font-weight: 600; padding: 0 8px 6px; font-size: .95rem; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.grid { stroke: var(--line); stroke-width: 1; }
.tick, .axis { fill: var(--soft); font-size: 11.5px; }
.frontier { fill: none; stroke: var(--ink); stroke-width: 1.4; stroke-dasharray: 4 4;
            opacity: .55; }
.pt { fill: var(--c); stroke: var(--card); stroke-width: 1; }
.pt .bar { stroke: var(--c); stroke-width: 1.4; opacity: .35; }
.pt text { fill: var(--ink); stroke: none; font-size: 11.5px; font-weight: 600; }
.pt.off { opacity: .62; }
.f-dense { --c: var(--dense); } .f-keep { --c: var(--keep); } .f-fetch { --c: var(--fetch); }
.f-store { --c: var(--store); } .f-prefill { --c: var(--prefill); }
.f-mixed { --c: var(--mixed); }
.f-control { --c: var(--card); stroke: var(--control); stroke-width: 1.8; }
.f-control .bar { stroke: var(--control); }
.charts.dim .pt { opacity: .14; }
.charts.dim .pt.hot { opacity: 1; }
.charts.dim .pt.hot .bar { opacity: .9; }
.open > :not(text):not(.bar):not(title) { fill: var(--card); stroke: var(--c); stroke-width: 1.6; }
.f-control.open > :not(text):not(.bar):not(title) { stroke: var(--control); }
.small .f-control.on > :not(text):not(.bar):not(title) { fill: var(--control); }
.band { fill: var(--dense); opacity: .1; }
.level { stroke: var(--dense); stroke-width: 1.2; opacity: .6; }
.small .pt text { font-size: 10px; }
.charts.small { grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); }
details.version { background: none; border: 0; padding: 0; }
details.version > summary { padding: 8px 2px; }
.wide { grid-column: 1 / -1; }
.run { fill: none; stroke: var(--c); stroke-width: 1.7; }
.f-control .run { stroke: var(--control); stroke-dasharray: 3 3; }
.mark { width: 16px; height: 16px; vertical-align: -3px; margin-right: 6px; flex: none; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 14px 2px 0; font-size: .88rem;
          color: var(--soft); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
          border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { padding: 7px 11px; text-align: left; border-bottom: 1px solid var(--line);
         vertical-align: middle; }
tbody tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 600; font-size: .8rem; white-space: nowrap; }
th.s { cursor: pointer; user-select: none; }
th.s:hover { color: var(--ink); }
th[aria-sort=ascending]::after { content: " ▲"; font-size: .7em; }
th[aria-sort=descending]::after { content: " ▼"; font-size: .7em; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td small { color: var(--soft); font-size: .82em; }
td.first, th.first { position: sticky; left: 0; background: var(--card); z-index: 1; }
td.first { min-width: 230px; max-width: 330px; overflow-wrap: anywhere; }
td.first .row { display: flex; align-items: center; }
td.first .no { color: var(--soft); min-width: 1.9em; font-variant-numeric: tabular-nums; }
tbody tr:hover td { background: var(--cell); }
.good { color: var(--good); } .bad { color: var(--bad); } .soft { color: var(--soft); }
.star { color: var(--accent); font-weight: 700; }
.tint { background: rgba(var(--heat), calc(var(--v) * .55)); }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 255px), 1fr));
        gap: 12px; }
.map { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
       padding: 12px 14px; min-width: 0; }
.map .row { display: flex; align-items: center; font-size: .82rem; overflow-wrap: anywhere;
            min-height: 2.6em; }
.map > svg { width: 100%; height: auto; display: block; margin-top: 6px; }
.map text { fill: var(--soft); font-size: 10px; }
.h0 { fill: var(--cell); } .h1 { fill: rgb(var(--heat)); }
.map .in { fill: var(--ink); font-size: 9px; text-anchor: middle; }
.map .in.on { fill: var(--card); }
.notes { color: var(--soft); max-width: 84ch; padding-left: 1.2em; margin: 8px 0 0; }
.notes li { margin-bottom: 4px; }
dl { display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 6px 18px;
     margin: 0; font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: 12px; background: var(--card);
          padding: 10px 16px; margin-bottom: 8px; }
summary { cursor: pointer; font-weight: 600; }
details p { margin: 8px 0; color: var(--soft); font-size: .92rem; max-width: 80ch; }
footer { margin-top: 60px; color: var(--soft); font-size: .85rem; }
@media (max-width: 560px) {
  main { padding: 0 14px 60px; } header { padding-top: 34px; } section { margin-top: 40px; }
  td.first { min-width: 150px; max-width: 180px; } th, td { padding: 6px 8px; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; }
}
@media print { .scroll { overflow: visible; } section { break-inside: avoid-page; } }
)CSS";
}

std::string_view script() {
  return R"JS(
'use strict';
for (const head of document.querySelectorAll('th.s')) {
  const sort = () => {
    const table = head.closest('table'), body = table.tBodies[0];
    const column = head.cellIndex;
    const up = head.getAttribute('aria-sort') === 'descending';
    const value = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      const order = typeof x === 'string' || typeof y === 'string'
        ? String(x).localeCompare(String(y)) : x - y;
      return up ? order : -order;
    });
    for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    body.append(...rows);
  };
  head.tabIndex = 0;
  head.addEventListener('click', sort);
  head.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); sort(); }
  });
}
const light = (number) => {
  for (const charts of document.querySelectorAll('.charts')) {
    charts.classList.toggle('dim', number !== undefined);
    for (const p of charts.querySelectorAll('.pt')) {
      p.classList.toggle('hot', p.dataset.p === number);
    }
  }
};
for (const e of document.querySelectorAll('tr[data-p], .charts .pt')) {
  e.addEventListener('mouseenter', () => light(e.dataset.p));
  e.addEventListener('mouseleave', () => light(undefined));
}
)JS";
}

}  // namespace fathom::eval::html
