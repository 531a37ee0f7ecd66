"""The style and the script of the status page, which contains both: it loads nothing."""

STYLE = """
:root { color-scheme: light dark; --page: #f5f6f8; --card: #fff; --text: #1b1f24; --dim: #57606a; --line: #d5d9df;
  --edge: #8b949e; --red: #b3150f; --red-box: #fde8e6; --amber: #7a4b00; --amber-box: #fdf1d8; --blue: #0a4fb0;
  --blue-box: #e4eefc; --green: #14692b; --green-box: #e4f4e8; --grey-box: #eceef1; --grey: #57606a; }
@media (prefers-color-scheme: dark) { :root { --page: #0f1318; --card: #181d24; --text: #e7eaee; --dim: #a0a9b4;
  --line: #313842; --edge: #7d8793; --red: #ff958c; --red-box: #46191a; --amber: #f2c265; --amber-box: #3c2e11;
  --blue: #90bdff; --blue-box: #16294a; --green: #7fd694; --green-box: #15311f; --grey-box: #262c35;
  --grey: #a0a9b4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
header { background: var(--card); border-top: 6px solid var(--green); border-bottom: 1px solid var(--line); }
header.bad { border-top-color: var(--red); }
header.warn { border-top-color: var(--amber); }
header > div, main { max-width: 1240px; margin: 0 auto; padding: 16px 24px; }
h1 { margin: 0; font-size: 22px; line-height: 1.25; }
h2 { margin: 28px 0 10px; font-size: 17px; }
header p { margin: 4px 0 0; color: var(--dim); }
a { color: var(--blue); }
a:focus-visible, [tabindex="0"]:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
.skip { position: absolute; left: -9999px; }
.skip:focus { position: static; }
#old { margin: 0; padding: 14px 24px; background: #b3150f; color: #fff; font-weight: 600; text-align: center; }
.is-old header { border-top-color: #b3150f; }
.is-old h1 { color: var(--red); }
code, .named a > text, th[scope="row"], .job { font-family: ui-monospace, "DejaVu Sans Mono", monospace;
  font-size: 13px; }
.legend { display: flex; flex-wrap: wrap; gap: 8px; margin: 12px 0 0; padding: 0; list-style: none; }
.legend li { padding: 3px 11px; border-radius: 99px; font-weight: 600; font-size: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }
.picture { padding: 14px; }
.picture svg { display: block; }
.named a > text { fill: var(--text); font-size: 12px; }
.edge, .waits { fill: none; stroke: var(--edge); stroke-width: 1.5; marker-end: url(#tip); }
.small .edge, .small .waits { stroke-width: 1; marker-end: none; }
.waits { stroke: var(--red); stroke-dasharray: 5 3; }
#tip path { fill: var(--edge); }
svg a:hover use { stroke: var(--blue); }
.broken, .failing, .gave-up, .overdue { --ink: var(--red); --box: var(--red-box); }
.held-back, .paused { --ink: var(--amber); --box: var(--amber-box); }
.ongoing { --ink: var(--blue); --box: var(--blue-box); }
.never-ran { --ink: var(--grey); --box: var(--grey-box); }
.ok { --ink: var(--green); --box: var(--green-box); }
g rect { fill: var(--box); stroke: var(--ink); }
g text { fill: var(--ink); font: 600 12px system-ui, sans-serif; }
.legend li, td:first-child { color: var(--ink); }
.legend li { background: var(--box); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 12px; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--dim); font-size: 13px; font-weight: 600; }
th[scope="row"] { font-weight: 400; overflow-wrap: anywhere; min-width: 170px; }
th small { display: block; color: var(--dim); font-family: system-ui, sans-serif; }
tr > :first-child { white-space: nowrap; }
td { font-size: 14px; }
td:first-child { font-weight: 600; }
tr :nth-child(3), tr :nth-child(4), tr :nth-child(5), tr :nth-child(6) { white-space: nowrap; }
tr:target > * { background: var(--blue-box); }
.bars { display: block; width: 80px; height: 20px; }
.bars path { stroke: var(--edge); stroke-width: 3; }
.bars .failed { stroke: var(--red); }
.trouble { margin: 0; padding: 0; list-style: none; }
.trouble li { padding: 9px 14px; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.trouble li:first-child { border-top: 0; }
.trouble b { color: var(--ink); }
.trouble pre, .runs pre { margin: 4px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px;
  color: var(--dim); }
.hint { color: var(--dim); font-size: 14px; margin: 0 0 8px; }
footer { color: var(--dim); font-size: 13px; padding: 28px 0 8px; }
@media (max-width: 700px) {
  header > div, main { padding: 14px; }
  h1 { font-size: 20px; }
  thead { position: absolute; left: -9999px; }
  .jobs, .jobs tbody, .runs, .runs tbody { display: block; }
  .jobs tr, .runs tr { display: block; padding: 9px 12px; border-top: 1px solid var(--line); }
  .jobs th, .jobs td, .runs th, .runs td { display: inline-block; border: 0; padding: 1px 12px 1px 0; }
  .jobs th[scope="row"] { font-size: 14px; min-width: 60%; }
  .jobs td:nth-child(3)::before { content: "next "; color: var(--dim); }
  .jobs td:nth-child(4)::before { content: "in "; color: var(--dim); }
  .jobs td:nth-child(5)::before { content: "last "; color: var(--dim); }
  .jobs td:nth-child(6)::before, .runs td:nth-child(3)::before { content: "took "; color: var(--dim); }
  .jobs td:nth-child(7), .jobs td:last-child { display: block; }
}
@media print { .card { overflow: visible; } }
"""

# A cron that is dead does not write the page: only the page itself can tell. One that is open for long loads itself
# again before it says so, for there may be a newer one.
SCRIPT = """
(function () {
  var page = document.documentElement, written = 1000 * page.dataset.written, tick = 1000 * page.dataset.tick;
  function isOld() { return Date.now() - written > 2 * tick; }
  if (isOld()) {
    var minutes = Math.round((Date.now() - written) / 60000), old = document.getElementById("old");
    var age = minutes < 2 ? "a minute" : minutes < 120 ? minutes + " minutes"
      : minutes < 2880 ? Math.round(minutes / 60) + " hours" : Math.round(minutes / 1440) + " days";
    var every = tick < 120000 ? Math.round(tick / 1000) + " seconds" : Math.round(tick / 60000) + " minutes";
    page.className = "is-old";
    old.textContent = "This page is " + age + " old. crontabber should have written a new one every " + every
      + ": is cron running? What follows was true " + age + " ago.";
    old.hidden = false;
    document.title = "OLD: " + document.title;
  }
  setInterval(function () { if (isOld()) { location.reload(); } }, tick);
}());
"""
