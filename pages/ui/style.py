"""The page style: the colour tokens as CSS variables and the few rules that the theme in config.toml cannot give."""

from core import chart

_TYPE = {role: f"font-size:{size}px;line-height:{line}px;font-weight:{weight}" for role, (size, line, weight) in chart.TYPE.items()}

CSS = f"""<style>
:root{{{chart.css()}}}
[data-testid="stApp"]{{font-variant-numeric:tabular-nums}}
[data-testid="stMainBlockContainer"]{{max-width:1032px;margin:0 auto 0 0;padding-left:48px;padding-right:48px}}
[data-testid="stSidebarLogo"],[data-testid="stHeaderLogo"]{{height:20px}}
:has(> [data-testid="stSidebarLogo"]),:has(> [data-testid="stHeaderLogo"]){{display:flex;align-items:center;gap:10px}}
:has(> [data-testid="stSidebarLogo"])::after,:has(> [data-testid="stHeaderLogo"])::after
{{content:"AlterLab";font-size:19px;line-height:24px;font-weight:650;letter-spacing:-.01em;color:var(--lab-ink);white-space:nowrap}}
@media (min-width:769px){{[data-testid="stSidebar"][data-collapsed="false"]{{min-width:248px!important;max-width:248px!important}}}}
[data-testid="stSidebarContent"]{{display:flex;flex-direction:column}}
[data-testid="stSidebarUserContent"]{{flex:1;display:flex;flex-direction:column;padding-top:12px;padding-bottom:18px}}
[data-testid="stSidebarUserContent"]>div,[data-testid="stSidebarUserContent"]>div>[data-testid="stVerticalBlock"]{{flex:1;display:flex;flex-direction:column}}
[data-testid="stSidebarUserContent"] [data-testid="stVerticalBlock"]:has(> .st-key-side_foot),
[data-testid="stSidebarUserContent"] :has(> * > .st-key-side_foot){{flex:1}}
.st-key-side_foot,:has(> .st-key-side_foot):not([data-testid="stVerticalBlock"]){{margin-top:auto}}
:is(.st-key-side_quiet,:has(> .st-key-side_quiet):not([data-testid="stVerticalBlock"])){{display:none}}
.st-key-side_ways button{{min-height:28px;padding:0}}
.st-key-side_stage button{{min-height:24px;padding:0}}
[class*="st-key-deck_view_"]{{border-top:1px solid var(--lab-line);padding:6px 0;min-height:48px;gap:4px 14px}}
:is([class*="st-key-deck_says_"],:has(> [class*="st-key-deck_says_"])){{min-width:min(300px,100%)}}
[class*="st-key-deck_view_"] button{{min-height:28px;padding:0}}
.lab-view b{{display:block;font-size:15px;line-height:20px;font-weight:600;color:var(--lab-ink)}}
.lab-view span{{display:block;overflow-wrap:anywhere}}
[data-testid="stSidebarNavLink"] p{{font-size:15px}}
@media (min-width:769px){{[data-testid="stSidebarNavLink"]{{height:26px;min-height:26px;margin-top:1px;margin-bottom:1px}}
[data-testid="stSidebarNav"] li{{height:28px}}[data-testid="stSidebarNav"] ul{{gap:0}}
[data-testid="stNavSectionHeader"]{{margin-top:1px;margin-bottom:0}}
[data-testid="stSidebarUserContent"]{{padding-top:4px!important;padding-bottom:10px!important}}
[data-testid="stSidebarUserContent"] [data-testid="stVerticalBlock"]{{gap:10px}}}}
[data-testid="stNavSectionHeader"] p{{font-size:12px;font-weight:600;color:var(--lab-muted)}}
[data-testid="stMain"] h1{{{_TYPE["h1"]};letter-spacing:-.018em;padding:0;text-wrap:balance}}
.lab-over{{{_TYPE["foot"]};font-weight:500;color:var(--lab-muted);margin-bottom:4px}}
.lab-take{{{_TYPE["take"]};color:var(--lab-ink2);max-width:780px;text-wrap:balance;margin:2px 0 6px}}
.lab-take b{{font-weight:650;color:var(--lab-ink)}}
.lab-h2{{{_TYPE["h2"]};letter-spacing:-.005em;color:var(--lab-ink);margin:12px 0 0}}
.lab-h2 small,.lab-sub{{{_TYPE["control"]};color:var(--lab-muted);letter-spacing:0;font-weight:400}}
.lab-h2 small{{margin-left:10px}}
.lab-label{{{_TYPE["label"]};font-weight:600;color:var(--lab-muted)}}
.lab-big{{{_TYPE["big"]};letter-spacing:-.03em;color:var(--lab-ink)}}
.lab-big small{{font-size:19px;line-height:24px;font-weight:400;letter-spacing:0;color:var(--lab-muted)}}
.lab-foot{{{_TYPE["foot"]};color:var(--lab-muted)}}
.lab-note{{font-size:15px;line-height:22px;color:var(--lab-ink2);background:var(--lab-card);
border:1px solid var(--lab-line);border-radius:10px;padding:12px 16px}}
.st-key-note,[class*="st-key-note_"]{{background:var(--lab-card);border:1px solid var(--lab-line);border-radius:10px;padding:12px 16px}}
[class*="st-key-note_"]{{padding-bottom:4px}}
[class*="st-key-note_"] .lab-note{{background:none;border:0;padding:0}}
.lab-note b{{font-weight:650;color:var(--lab-ink)}}
.lab-chip{{display:flex;align-items:center;gap:8px;padding:4px 0;font-size:14px;line-height:20px;color:var(--lab-ink)}}
[class*="st-key-row_"]{{border-top:1px solid var(--lab-line);padding:6px 0;min-height:48px;flex-wrap:nowrap;position:relative}}
[class*="st-key-row_"]>:has(.lab-job){{min-width:0}}
.st-key-jobs .lab-label,.st-key-jobs :not(.lab-job)>.lab-sub{{margin:10px 0 6px}}
.lab-job{{display:grid;grid-template-columns:92px minmax(0,1fr) minmax(0,2fr);gap:2px 16px;align-items:center}}
.lab-job b{{font-weight:600;font-size:13px}}
.lab-job .lab-bar{{margin-top:5px}}
.lab-name{{font-size:15px;line-height:20px;color:var(--lab-ink);overflow-wrap:anywhere}}
.lab-card{{border-top:2px solid;padding-top:14px;margin-bottom:10px}}
.lab-card b{{font-size:15px;font-weight:650}}
.lab-chip span{{min-width:0;overflow-wrap:anywhere}}
.lab-chip i{{margin-left:auto;font-style:normal;color:var(--lab-muted);font-size:13px;white-space:nowrap}}
.lab-chip img{{flex:none}}
.lab-svg{{display:block;max-width:100%;height:auto}}
[class*="st-key-lab_says"]{{min-width:min(300px,100%)}}
:has(> [class*="st-key-lab_says"]){{min-width:min(300px,100%)}}
.st-key-start_ways{{margin-bottom:14px}}
[data-testid="stApp"] :is([data-testid="stPageLink-NavLink"],[data-testid="stSidebarNavLink"]):focus-visible{{
outline:2px solid var(--lab-ink);outline-offset:2px;border-radius:4px}}
.lab-sub,.lab-foot{{text-wrap:pretty}}
[class*="st-key-"][class*="_empty"]{{border-style:dashed!important;border-color:var(--lab-faint)!important}}
.lab-key{{display:flex;flex-wrap:wrap;gap:4px 24px}}
.lab-rule{{border-top:1px solid var(--lab-line)}}
.lab-bar{{height:6px;background:var(--lab-wash);border-radius:3px;overflow:hidden}}
.lab-bar i{{display:block;height:100%;background:var(--lab-ink);border-radius:3px}}
[data-testid="stMain"] [data-testid="stPageLink-NavLink"]{{padding:2px 0;background:none}}
[data-testid="stMain"] [data-testid="stPageLink-NavLink"] p,
[data-testid="stBaseButton-tertiary"]:not(:disabled) p,[data-testid="stPopoverButton"][kind="tertiary"] p
{{text-decoration:underline;text-decoration-color:var(--lab-faint);text-underline-offset:3px;font-size:14px;line-height:20px}}
[data-testid="stBaseButton-primary"]:not(:disabled) p,[data-testid="stPopoverButton"][kind="primary"] p{{color:var(--lab-onink)}}
[data-testid="stSidebarNavLink"][aria-current="page"]{{background:var(--lab-wash)}}
[data-testid="stMain"] [data-testid="stButtonGroup"] button{{min-height:37px}}
.st-key-lesion_desk{{display:grid;gap:20px 48px;margin-top:8px;
grid-template:"ribbon now" auto "ribbon classes" auto "sweep classes" 1fr / minmax(0,1fr) 264px}}
.st-key-lesion_desk>:has(.st-key-lesion_ribbon){{grid-area:ribbon}}
.st-key-lesion_desk>:has(.st-key-lesion_sweep){{grid-area:sweep}}
.st-key-lesion_desk>:has(.st-key-lesion_now){{grid-area:now}}
.st-key-lesion_desk>:has(.st-key-lesion_classes){{grid-area:classes}}
.st-key-lesion_now{{min-height:112px}}
.st-key-lesion_now .lab-big{{font-size:46px;line-height:50px}}
.lab-wait{{font-size:19px;line-height:50px;color:var(--lab-muted)}}
.lab-classes>div{{display:grid;grid-template-columns:88px minmax(0,1fr) 44px;gap:8px;align-items:center;min-height:24px;
font-size:13px;line-height:16px;color:var(--lab-ink)}}
.lab-classes span{{overflow-wrap:anywhere}}
.lab-classes i{{position:relative;height:24px}}
.lab-classes i>*{{position:absolute}}
.lab-classes u{{top:0;bottom:0;border-left:1px solid var(--lab-faint)}}
.lab-classes b{{top:6px;height:12px;border-radius:2px}}
.lab-classes s{{top:11px;height:2px;background:var(--lab-ink);opacity:.75}}
.lab-classes em{{font-style:normal;color:var(--lab-ink2);text-align:right}}
.lab-flips{{display:grid;grid-template-columns:repeat(auto-fill,96px);gap:14px 24px}}
.lab-flips figure{{margin:0}}
.lab-flips img{{display:block;width:96px;height:96px;border-radius:6px;image-rendering:pixelated}}
.lab-flips figcaption{{font-size:14px;line-height:19px;color:var(--lab-ink);margin-top:6px;overflow-wrap:anywhere}}
.lab-flips small{{display:block;font-size:13px;color:var(--lab-muted)}}
@media(max-width:640px){{
[data-testid="stMainBlockContainer"]{{padding-left:16px;padding-right:16px}}
[data-testid="stMain"] h1{{font-size:26px;line-height:31px}}
.lab-take{{font-size:17px;line-height:25px}}
.lab-job{{grid-template-columns:minmax(0,1fr)}}
[class*="st-key-row_"]>:last-child{{position:absolute;top:0;right:0}}
.st-key-lesion_desk{{grid-template:"now" auto "ribbon" auto "sweep" auto "classes" auto / minmax(0,1fr)}}
.st-key-lesion_now{{min-height:0}}
.lab-flips{{grid-template-columns:repeat(4,minmax(0,1fr));gap:14px 12px}}
.lab-flips img{{width:100%;height:auto}}
.st-key-build_left>:has(.st-key-build_twin){{order:-1}}
.st-key-build_left .lab-h2 small{{display:none}}
}}
</style>"""
