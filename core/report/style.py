"""The look of a report: the light tokens of the lab on the reader's own fonts; on paper, nothing is cut."""

from core.chart import LIGHT as C

#: What the reader's system has; the first is the lab's own.
SANS = '"Source Sans 3", system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif'

CSS = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
html {{ -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
body {{ margin: 0; background: {C["bg"]}; color: {C["ink"]}; font: 400 15px/23px {SANS}; }}
main {{ max-width: 908px; margin: 0 auto; padding: 40px 24px 64px; }}
svg {{ font-family: {SANS}; }}
a {{ color: inherit; text-decoration-color: {C["faint"]}; text-underline-offset: 3px; }}
h1 {{ font-size: 32px; line-height: 38px; font-weight: 620; margin: 2px 0 10px; text-wrap: balance; }}
h2 {{ font-size: 24px; line-height: 30px; font-weight: 620; margin: 56px 0 12px; }}
h3 {{ font-size: 18px; line-height: 24px; font-weight: 620; margin: 40px 0 4px; }}
h3 small {{ display: inline; font-size: 13px; margin-left: 6px; }}
h4 {{ font-size: 15px; line-height: 20px; font-weight: 620; margin: 0 0 2px; }}
p {{ margin: 0 0 10px; }}
small {{ display: block; font-size: 12px; line-height: 16px; color: {C["muted"]}; font-weight: 400; }}
code, pre {{ font: 12px/18px ui-monospace, Menlo, Consolas, monospace; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; background: {C["card"]}; padding: 12px; border-radius: 8px; }}
.over, .quiet, figcaption {{ color: {C["muted"]}; font-size: 13px; line-height: 18px; }}
.lead {{ font-size: 19px; line-height: 28px; color: {C["ink2"]}; max-width: 720px; text-wrap: pretty; }}
.lead b, .take b {{ color: {C["ink"]}; font-weight: 620; }}
.take {{ color: {C["ink2"]}; max-width: 760px; margin-bottom: 14px; }}
nav {{ display: flex; flex-wrap: wrap; gap: 4px 16px; margin-top: 18px; padding: 10px 0; font-size: 13px; line-height: 20px; }}
nav {{ border: solid {C["line"]}; border-width: 1px 0; }}
.nets {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 28px 32px; }}
.net {{ break-inside: avoid; border-top: 1px solid {C["line"]}; padding-top: 14px; min-width: 0; }}
.net h3 {{ display: flex; flex-wrap: wrap; align-items: center; gap: 8px; margin: 0; font-size: 16px; }}
.net code {{ display: block; color: {C["muted"]}; overflow-wrap: anywhere; }}
dl {{ margin: 8px 0 0; font-size: 13px; line-height: 18px; }}
dl div {{ display: grid; grid-template-columns: 78px 1fr; gap: 8px; padding: 2px 0; }}
dt {{ color: {C["muted"]}; }}
dd {{ margin: 0; }}
table {{ border-collapse: collapse; width: 100%; }}
th {{ text-align: left; font-weight: 600; }}
thead th {{ font-size: 12px; line-height: 16px; color: {C["muted"]}; vertical-align: bottom; padding: 0 12px 6px 0; }}
.verdicts {{ font-size: 14px; line-height: 19px; table-layout: fixed; }}
.verdicts tbody {{ break-inside: avoid; border-top: 1px solid {C["line"]}; }}
.verdicts td, .verdicts tbody th {{ vertical-align: top; padding: 10px 12px 8px 0; }}
.verdicts tbody.group {{ border: 0; break-after: avoid; }}
.verdicts tbody.group th {{ font-size: 16px; padding: 26px 0 8px; }}
.verdicts .verdict {{ white-space: nowrap; font-size: 13px; width: 16%; }}
.verdict svg {{ display: inline-block !important; vertical-align: -2px; margin-right: 7px; }}
.verdicts .at {{ width: 21%; padding-right: 8px; }}
.verdicts th.at {{ white-space: nowrap; font-size: 11px; font-weight: 400; }}
.verdicts .num, .numbers td {{ font-variant-numeric: tabular-nums; }}
.verdicts .num {{ text-align: right; white-space: nowrap; width: 12%; }}
.verdicts .n {{ width: 10%; white-space: normal; }}
.verdicts th.num:last-child, .verdicts td.num:last-child {{ padding-right: 0; }}
.verdicts .paper {{ font-size: 12px; line-height: 16px; width: 17%; }}
.verdicts td.paper {{ color: {C["ink2"]}; padding-left: 8px; }}
.verdicts th.paper {{ padding-left: 8px; }}
.verdicts .why td {{ padding-top: 0; }}
.why ul {{ margin: 0; padding: 0; list-style: none; font-size: 12px; line-height: 17px; color: {C["muted"]}; }}
.why li + li {{ margin-top: 2px; }}
.why b {{ color: {C["ink2"]}; font-weight: 600; }}
figure {{ margin: 10px 0 6px; break-inside: avoid; }}
figcaption {{ border-top: 1px solid {C["line"]}; padding-top: 6px; margin-top: 8px; }}
.row {{ display: grid; gap: 8px 16px; margin-bottom: 8px; }}
.row > div {{ min-width: 0; }}
.r2, .r4 {{ grid-template-columns: 1fr 1fr; }}
.r3 {{ grid-template-columns: 1fr 1fr 1fr; }}
details {{ font-size: 13px; line-height: 20px; color: {C["ink2"]}; margin: 4px 0; }}
summary {{ cursor: pointer; color: {C["muted"]}; width: max-content; max-width: 100%; padding: 3px 0; }}
details > p {{ max-width: 720px; }}
.wide {{ overflow-x: auto; }}
.numbers {{ font-size: 12px; line-height: 16px; width: auto; }}
.numbers caption {{ text-align: left; color: {C["muted"]}; padding-bottom: 6px; }}
.numbers th, .numbers td {{ padding: 2px 14px 2px 0; white-space: nowrap; border-top: 1px solid {C["grid"]}; }}
@media screen and (max-width: 640px) {{
  main {{ padding: 20px 16px 40px; }}
  h1 {{ font-size: 26px; line-height: 32px; }}
  .r2, .r3, .r4 {{ grid-template-columns: 1fr; }}
  .verdicts, .verdicts tbody, .verdicts tr, .verdicts td, .verdicts th {{ display: block; width: auto !important; white-space: normal; }}
  .verdicts td, .verdicts th {{ text-align: left !important; padding-left: 0 !important; }}
  .verdicts thead, .verdicts td:empty {{ display: none; }}
  .verdicts td, .verdicts tbody th {{ padding: 3px 0; }}
  .verdicts tbody {{ padding: 8px 0; }}
  .verdicts .num small {{ display: inline; margin-left: 5px; }}
}}
@page {{ size: A4; margin: 14mm 13mm; }}
@media print {{
  body {{ font-size: 12px; line-height: 17px; }}
  main {{ max-width: none; padding: 0; }}
  nav, details:not([open]) {{ display: none; }}
  h2, h3, h4, .take, .lead {{ break-after: avoid; break-inside: avoid; }}
  .nets {{ grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 16px 20px; }}
  dl, figcaption, .quiet {{ font-size: 11px; line-height: 15px; }}
  dl div {{ grid-template-columns: 62px 1fr; gap: 6px; }}
  h2 {{ margin-top: 28px; }}
  h3 {{ margin-top: 20px; }}
  .lead {{ font-size: 15px; line-height: 21px; }}
  .verdicts {{ font-size: 11px; line-height: 15px; }}
  .verdicts .verdict, .verdicts thead th, .verdicts small, .verdicts .paper, .why ul {{ font-size: 10px; line-height: 14px; }}
  .verdicts td, .verdicts tbody th {{ padding: 6px 8px 5px 0; }}
  .verdicts tbody.group th {{ font-size: 13px; padding: 16px 0 6px; }}
  thead {{ display: table-header-group; }}
  svg, img {{ break-inside: avoid; }}
}}
""".strip()
