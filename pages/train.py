"""Is it learning, and when is it done?  A net, images, a recipe and seeds become jobs; their curves are drawn live."""

from pages.ui import frame

frame.require()

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import streamlit as st

from core import data, edit, jobs, presets, recipe, spec, store, words
from core.run import Run
from pages.ui import curves, figure, joblist, parts, pickers, states
from pages.ui.curves import Curve
from pages.ui.draw import draw
from pages.ui.plan import Plan, plan_of, price, start

YOURS = "yours"
SHARES = {0.02: "2 %", 0.06: "6 %", 0.1: "10 %", 0.5: "50 %", 1.0: "All"}
LIMITS = (0, 500, 1000, 2000, 5000, 10_000, 20_000)
DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU"}
Slot = st.delta_generator.DeltaGenerator


def page() -> None:
    """Question, takeaway, controls and cost, then everything that moves."""
    parts.header("Is it learning, and when is it done?", over="Make")
    take = st.empty()
    if pickers.arch_error():
        states.note(f"**The net in this link cannot be built.** {pickers.arch_error()}")
    plan, pressed, slot = controls()
    if plan.refusal and data.available(pickers.images()):
        states.note(f"**These images are not here yet.** {plan.refusal}", "Get them", "train_fetch", get_images, (pickers.images(),))
    elif plan.refusal:
        states.note(f"**This cannot be trained.** {plan.refusal}")
    else:
        parts.sub(price(plan))
    if pressed:
        with states.guard():
            begin(plan)
    if already := st.session_state.pop("train_already", ""):
        states.note(already)
    live(take, plan, reference(plan, slot))
    joblist.dialogs()


def get_images(dataset: str) -> None:
    """Download a set in the background; the job list shows how far it is."""
    jobs.submit("fetch", {"id": dataset, "device": "network"}, label=f"Get {data.title(dataset)}", dedup=f"fetch {dataset}")


def controls() -> tuple[Plan, bool, Slot]:
    """The row of controls; (what would be trained, whether Train was pressed, the place for one more choice)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="train_controls"):
        net = pick_net()
        images = pick_images()
        name = st.selectbox("Recipe", list(recipe.RECIPES), format_func=str.capitalize, key="t_recipe", bind="query-params", width=88)
        share = st.segmented_control(
            "Share of images", list(SHARES), format_func=SHARES.get, default=1.0, required=True, key="t_share", bind="query-params"
        )
        seeds = st.segmented_control("Seeds", [1, 3, 5], default=1, required=True, key="t_seeds", bind="query-params")
        place = st.container(width="content")
        with place:
            epochs, limit, device, slot = more(name)
        plan = plan_of(net, images, name, int(epochs), float(share or 1), int(limit), int(seeds or 1), device)
        pressed = st.button("Train", key="train_start", type="primary", disabled=bool(plan.refusal))
    return plan, pressed, slot


def pick_net() -> spec.Architecture:
    """The net of Build and of the link, or a preset; both are one choice, so that the address always names the net."""
    arch = pickers.arch()
    preset = next((p.id for p in presets.PRESETS.values() if presets.resolve(p.id).notation == arch.notation), "")
    if not preset:
        st.session_state["train_yours"] = arch.notation
    mine = st.session_state.get("train_yours", "")
    titles = {YOURS: "Yours"} if mine else {}
    titles |= {p.id: p.title for p in presets.PRESETS.values()}
    st.session_state["train_net"] = preset or YOURS

    def changed() -> None:
        chosen = st.session_state["train_net"]
        pickers.set_arch(mine if chosen == YOURS else chosen)

    st.selectbox("Net", list(titles), format_func=titles.get, key="train_net", on_change=changed, width=144)
    return arch


def pick_images() -> str:
    """The images; the same choice as in the sidebar."""
    st.session_state["train_images"] = pickers.images()

    def changed() -> None:
        st.session_state["d"] = st.session_state["train_images"]

    st.selectbox("Images", list(data.DATASETS), format_func=data.title, key="train_images", on_change=changed, width=128)
    return st.session_state["train_images"]


def more(name: str) -> tuple[int, int, str, Slot]:
    """Epochs, a limit on images, the device and the reference, behind one button that says how many epochs."""
    usual = recipe.RECIPES[name].epochs
    key = f"t_epochs_{name}"
    # not bound to the link by Streamlit: a number box that is bound takes any text for a number and fails on 1e309
    linked = st.query_params.get("epochs", "")
    if key not in st.session_state:
        st.session_state[key] = min(max(int(linked), 1), 2000) if re.fullmatch(r"[0-9]{1,4}", linked) else usual
    now = st.session_state[key]
    with st.popover(words.some(int(now), "epoch"), key="train_more", help="Epochs, number of images, device, run to compare with"):
        epochs = st.number_input("Epochs", 1, 2000, key=key, help="How often every image is seen.")
        limit = st.selectbox(
            "At most so many images",
            LIMITS,
            format_func=lambda n: words.count(n) if n else "No limit",
            key="t_limit",
            bind="query-params",
            help="For a quick look: fewer images make an epoch shorter.",
        )
        device = st.segmented_control("Device", list(DEVICES), format_func=DEVICES.get, default="auto", required=True, key="t_device")
        slot = st.container()
    said = "" if epochs == usual else str(epochs)
    if st.query_params.get("epochs", "") != said:
        if said:
            st.query_params["epochs"] = said
        else:
            st.query_params.pop("epochs", None)
    return int(epochs or usual), int(limit or 0), device or "auto", slot


def begin(plan: Plan) -> None:
    """Start it, turn to its curves, and say what was there already."""
    done = start(plan)
    st.session_state["train_show"] = plan.runs[0].id
    if done:
        said = "This net is" if len(done) == 1 else f"{len(done)} of these nets are"
        st.session_state["train_already"] = f"**Trained already.** {said} stored with the same images, recipe and seed; its curve is below."
    st.rerun()


def live(take: Slot, plan: Plan, ghost: Run | None) -> None:
    """Takeaway, curves and jobs; the page's only polling part, asking every second while a job is alive."""
    before = {(job.id, job.state) for job in jobs.list() if job.state in jobs.LIVE}

    @st.fragment(run_every=1.0 if before else None)
    def poll() -> None:
        with states.guard():
            everything = jobs.list()
            if {(job.id, job.state) for job in everything if job.state in jobs.LIVE} != before:
                st.rerun()
            if st.session_state.pop("job_open", None):
                frame.go("frequency")
            shown = watched(everything)
            with take.container():
                parts.take(sentence(shown, everything, ghost))
            st.space("xsmall")
            picture(shown, everything, ghost)
            parts.h2("Jobs", "one at a time on each device")
            joblist.rows(everything)

    poll()


def reference(plan: Plan, slot: Slot) -> Run | None:
    """The stored run drawn as a dashed ghost: the reader's choice, else the shipped net nearest to the chosen one."""
    runs = {run.id: run for run in pickers.finished() if store.history(run.id)}
    if not runs:
        return None
    options = ["", *runs]
    usual = ""
    if plan.runs:
        near = presets.PRESETS.get(edit.nearest_preset(spec.parse(plan.runs[0].arch)))
        wanted = plan.runs[0].data
        same = [r.id for r in runs.values() if pickers.test_set(r.data) == pickers.test_set(wanted) and r not in plan.runs]
        same = [i for i in same if runs[i].data == wanted] or same
        same = [i for i in same if store.is_shipped(i)] or same
        usual = next((i for i in same if near and runs[i].name == near.title), next(iter(same), ""))
    with slot:
        chosen = st.selectbox(
            "Compare with",
            options,
            index=options.index(usual),
            format_func=lambda i: pickers.title(runs[i]) if i else "Nothing",
            key="ref",
            bind="query-params",
            help="A stored run, drawn as a dashed line.",
        )
    return runs.get(chosen or "")


def watched(everything: Sequence[jobs.Job]) -> list[Run]:
    """The run whose curve is drawn and its other seeds, the one in work first; what was started last."""
    runs = {run.id: run for run in pickers.runs()}
    trained = [i for job in everything if (i := joblist.trained(job)) in runs]
    first = st.session_state.get("train_show")
    first = first if first in runs else next(iter(trained), "")
    if not first:
        return []

    def question(run: Run) -> dict[str, Any]:
        return {name: value for name, value in run.to_json().items() if name not in ("seed", "name")}

    group = [run for run in runs.values() if question(run) == question(runs[first]) and (run.id in trained or run.id == first)]
    working = {joblist.trained(job) for job in everything if job.state in ("running", "cancelling")}
    return sorted(group, key=lambda run: (run.id not in working, not store.history(run.id), run.seed))


def _job(run: Run, everything: Sequence[jobs.Job]) -> jobs.Job | None:
    return next((job for job in everything if joblist.trained(job) == run.id), None)


def total_epochs(run: Run) -> int:
    """Epochs that a run will have when it is done."""
    return recipe.from_dict(run.recipe).total_epochs


def sentence(shown: Sequence[Run], everything: Sequence[jobs.Job], ghost: Run | None) -> str:
    """Where the training stands, in one sentence computed from its history."""
    if not shown:
        return "Nothing is training. Choose a net and images, then press **Train**."
    run, rows = shown[0], store.history(shown[0].id)
    job, title, total = _job(run, everything), pickers.title(run), total_epochs(run)
    state = job.state if job else "succeeded" if pickers.accuracy(run) is not None else "cancelled"
    if not rows:
        begun = {
            "waiting": "waits for its turn",
            "failed": "stopped before its first epoch was over",
            "cancelled": "was stopped in its first epoch",
        }
        return f"{title} {begun.get(state, f'is in epoch 1 of {total}')}.{_left(job)}"
    done, accuracy = int(rows[-1]["epoch"]), float(rows[-1]["accuracy"])
    if state == "succeeded" and (final := pickers.accuracy(run)) is not None:
        accuracy = final
    verb = {"succeeded": "reached", "failed": "stopped at", "cancelled": "was stopped at"}.get(state, "is at")
    when = f"after {words.some(done, 'epoch')}" if done >= total else f"after {done} of {words.some(total, 'epoch')}"
    return f"{title} {verb} **{words.percent(accuracy)}** {when}{_against(done, accuracy, run, ghost)}.{_left(job)}"


def _left(job: jobs.Job | None) -> str:
    if job is None or job.state != "running" or job.progress is None or (job.progress.eta_s or 0) < 1:
        return ""
    return f" **{words.duration(job.progress.eta_s)}** to go."


def _against(epoch: int, accuracy: float, run: Run, ghost: Run | None) -> str:
    """`, 2.1 points ahead of AlterNet-mini at that point`, if the reference saw the same images and has that epoch."""
    if ghost is None or ghost.id == run.id or ghost.data != run.data:
        return ""
    row = next((row for row in store.history(ghost.id) if row["epoch"] == epoch), None)
    if row is None:
        return ""
    gap = accuracy - float(row["accuracy"])
    how = f"{words.plain(abs(100 * gap), 1)} points {'ahead of' if gap > 0 else 'behind'}"
    return f", {'level with' if abs(gap) < 5e-4 else how} {pickers.title(ghost)} at that point"


def picture(shown: Sequence[Run], everything: Sequence[jobs.Job], ghost: Run | None) -> None:
    """Accuracy and loss, the foot line under both."""
    drawn = [
        Curve(name=f"{pickers.title(run)} · seed {run.seed}", family=pickers.family(run), role="own" if i == 0 else "seed", rows=rows)
        for i, run in enumerate(shown)
        if (rows := store.history(run.id))
    ]
    if ghost is not None and ghost.id not in {run.id for run in shown}:
        # beside a short run the reference is drawn no further than twice as far, or the short one would be a dot
        rows, far = store.history(ghost.id), 2 * max((total_epochs(run) for run in shown), default=10**6)
        drawn.append(
            Curve(name=pickers.title(ghost), family="ref", role="ghost", rows=[row for row in rows if row["epoch"] <= max(far, 5)])
        )
    if not drawn:
        states.empty("**No curve yet.** It is drawn epoch by epoch while a net trains.")
        return
    epochs = max([*(total_epochs(run) for run in shown), *(int(curve.rows[-1]["epoch"]) for curve in drawn)])
    foot = foot_text(shown, ghost if any(curve.role == "ghost" for curve in drawn) else None)
    says = sentence(shown, everything, ghost)
    facts = [epochs, [[curve.name, curve.family, curve.role, curve.rows] for curve in drawn]]
    charts = [lambda theme, i=i: curves.both(drawn, epochs, theme)[i] for i in (0, 1)]
    for i, (column, chart, what) in enumerate(zip(st.columns(2, gap="large"), charts, ("Test accuracy", "Training loss"), strict=True)):
        with column:
            draw(chart, [i, *facts], f"train_chart_{i}", f"{what}. {says}")
    figure.foot_line(foot, curves.table(drawn), "training", "train", lambda: figure.svg_file(charts, says, foot))


def foot_text(shown: Sequence[Run], ghost: Run | None) -> str:
    """Which seeds, which images, what the dashed line is."""
    text = []
    if shown:
        run = shown[0]
        others = [str(other.seed) for other in shown[1:]]
        thin = f"; seed{'s' if len(others) > 1 else ''} {words.seq(others)} as thin lines" if others else ""
        title, images = pickers.title(dataclasses.replace(run, seed=0)), pickers.set_title(run.data)
        text.append(f"{title}: seed {run.seed}{thin}, {images}, recipe {run.recipe.get('name', '')}.")
        rows = store.history(run.id)
        tested = rows[-1].get("n_test") if rows else None
        text.append(f"Accuracy while training on {words.count(int(tested))} test images." if tested else "")
    if ghost is not None:
        unlike = [] if not shown else [name for name in ("data", "recipe") if getattr(ghost, name) != getattr(shown[0], name)]
        unlike = [{"data": "images"}.get(name, name) for name in unlike]
        text.append(f"Dashed: stored run of {pickers.title(ghost)}{', other ' + words.seq(unlike) if unlike else ''}.")
        tested = (store.history(ghost.id) or [{}])[-1].get("n_test")
        on = f", {words.count(int(tested))} test images" if tested else ""
        text.append(f"That run: seed {ghost.seed}, {pickers.set_title(ghost.data)}{on}.")
    return " ".join(part for part in text if part)


with states.guard():
    page()
