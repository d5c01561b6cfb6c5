"""Is it learning, and when is it done?  A net, images, a recipe and seeds become jobs; their curves are drawn live."""

from pages.ui import frame

frame.require()

import re

import streamlit as st

from core import data, edit, jobs, presets, recipe, spec, store, words
from core.run import Run
from pages.ui import jobdetails, joblist, learning, parts, pickers, states
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
    jobdetails.dialogs()


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
            epochs, limit, device, gpus, slot = more(name)
        plan = plan_of(net, images, name, epochs, float(share or 1), limit, int(seeds or 1), device, gpus)
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


def more(name: str) -> tuple[int, int, str, int, Slot]:
    """Epochs, a limit on images, the device, how many of them and the reference, behind one button that says how many epochs."""
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
        gpus = 1
        if (most := joblist.gpus(device or "auto")) > 1:
            gpus = st.segmented_control(
                "GPUs for each run", list(range(1, most + 1)), default=1, required=True, key="t_gpus",
                help="Several share every batch: quicker for large nets; small ones lose more than they gain.",
            )  # fmt: skip
        slot = st.container()
    said = "" if epochs == usual else str(epochs)
    if st.query_params.get("epochs", "") != said:
        if said:
            st.query_params["epochs"] = said
        else:
            st.query_params.pop("epochs", None)
    return int(epochs or usual), int(limit or 0), device or "auto", int(gpus or 1), slot


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
            if to := st.session_state.pop("job_open", None):
                frame.go(to[0], **to[1])
            shown = learning.watched(everything)
            with take.container():
                parts.take(learning.sentence(shown, everything, ghost))
            st.space("xsmall")
            learning.picture(shown, everything, ghost)
            joblist.view(everything)

    poll()


def reference(plan: Plan, slot: Slot) -> Run | None:
    """The stored run drawn as a dashed ghost: the reader's choice, else the shipped net nearest to the chosen one."""
    runs = {run.id: run for run in pickers.finished() if store.history(run.id)}
    if not runs:
        return None
    options = ["", *runs]
    usual = ""
    if plan.runs:
        near = presets.PRESETS.get(edit.nearest_preset(plan.runs[0].plan)) if not plan.runs[0].outline else None
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


with states.guard():
    page()
