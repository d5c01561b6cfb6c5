"""Is it learning, and when is it done?  A net, images, a recipe and seeds become jobs; their curves are drawn live.

Or a study: a family of nets that answers a question of its own.
"""

from pages.ui import frame

frame.require()

import re

import streamlit as st

from core import data, edit, jobs, presets, recipe, spec, store, words
from core.run import Run
from pages.ui import address, data_jobs, jobdetails, joblist, learning, parts, pickers, states, study
from pages.ui.plan import Plan, plan_of, price, start, tuning_of, untrained

YOURS = "yours"
SHARES = {0.02: "2 %", 0.06: "6 %", 0.1: "10 %", 0.5: "50 %", 1.0: "All"}
LIMITS = (0, 500, 1000, 2000, 5000, 10_000, 20_000)
#: parts of the recipe's learning rate, for weights that have learned something already
SLOWER = {1: "As the recipe", 10: "A tenth", 100: "A hundredth"}
#: epochs of a fine-tuning unless the reader says otherwise
TUNING = 3
DEVICES = {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU"}
Slot = st.delta_generator.DeltaGenerator


def page() -> None:
    """Question, takeaway, controls and cost, then everything that moves."""
    parts.header("Is it learning, and when is it done?", over="Make")
    take = st.empty()
    study.switch()
    if unknown := st.session_state.pop("study_unknown", ""):
        states.note(f"**The study of this link is not known here.** {unknown} is none of those under “A study”.")
    if pickers.arch_error():
        states.note(f"**The net in this link cannot be built.** {pickers.arch_error()}")
    plan, pressed, slot = controls()
    offer_tuning()
    net = tuned()
    images = net.data if net else pickers.images()
    if plan.refusal and images in data.DATASETS and data.available(images):
        states.note(f"**These images are not here yet.** {plan.refusal}", "Get them", "train_fetch", data_jobs.get, (images,))
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


def controls() -> tuple[Plan, bool, Slot]:
    """The row of controls; (what would be trained, whether Train was pressed, the place for one more choice)."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", key="train_controls"):
        net = pick_net()
        images = pick_images(net.data if isinstance(net, Run) else "")
        name = st.selectbox("Recipe", list(recipe.RECIPES), format_func=str.capitalize, key="t_recipe", bind="query-params", width=88)
        share = st.segmented_control(
            "Share of images", list(SHARES), format_func=SHARES.get, default=1.0, required=True, key="t_share", bind="query-params"
        )
        seeds = st.segmented_control("Seeds", [1, 3, 5], default=1, required=True, key="t_seeds", bind="query-params")
        place = st.container(width="content")
        with place:
            epochs, limit, device, gpus, slower, slot = more(name, net if isinstance(net, Run) else None)
        if isinstance(net, Run):
            plan = tuning_of(net, name, epochs, slower, float(share or 1), limit, int(seeds or 1), device, gpus)
        else:
            plan = plan_of(net, images, name, epochs, float(share or 1), limit, int(seeds or 1), device, gpus)
        pressed = st.button("Train", key="train_start", type="primary", disabled=bool(plan.refusal))
    return plan, pressed, slot


def tuned() -> Run | None:
    """The added net that is trained on from its weights: of the link, or chosen; None while an own net is trained from nothing."""
    known = {run.id: run for run in pickers.added()}
    for given in address.brought("tune")[:1]:
        st.session_state["train_tune"] = given
    found = known.get(st.session_state.get("train_tune", ""))
    address.write("tune", [found.id] if found else [])
    return found


def tune(run_id: str) -> None:
    """Chooses an added net to be trained on, or none."""
    st.session_state["train_tune"] = run_id
    address.moved("tune")


def offer_tuning() -> None:
    """An added net that is on stage can be chosen here; while one is chosen, what that means."""
    if net := tuned():
        kind = "it was added with random weights, so this is its first training" if untrained(net) else "its weights are where it starts"
        parts.sub(
            f"**{pickers.title(net)}** is trained on {pickers.set_title(net.data)}: {kind}. For other images, add it again with those."
        )
        return
    here = [run for run in pickers.stage() if run in pickers.added()]
    if here:
        net = here[-1]
        verb = "trained" if untrained(net) else "fine-tuned"
        states.note(
            f"**{pickers.title(net)}** is on stage. It can be {verb} here.", f"Choose {pickers.title(net)}", "train_offer", tune, (net.id,)
        )


def pick_net() -> spec.Architecture | Run:
    """The net of Build and of the link, or a preset; both are one choice, so that the address always names the net.  Or an added one."""
    arch = pickers.arch()
    preset = next((p.id for p in presets.PRESETS.values() if presets.resolve(p.id).notation == arch.notation), "")
    if not preset:
        st.session_state["train_yours"] = arch.notation
    mine = st.session_state.get("train_yours", "")
    titles = {YOURS: "Yours"} if mine else {}
    titles |= {p.id: p.title for p in presets.PRESETS.values()}
    added = pickers.names(pickers.added()[::-1])
    chosen = tuned()
    st.session_state["train_net"] = chosen.id if chosen else preset or YOURS

    def changed() -> None:
        now = st.session_state["train_net"]
        tune(now if now in added else "")
        if now not in added:
            pickers.set_arch(mine if now == YOURS else now)

    titles |= added
    st.selectbox("Net", list(titles), format_func=titles.get, key="train_net", on_change=changed, width=144)
    return chosen or arch


def pick_images(only: str = "") -> str:
    """The images; the same choice as in the sidebar, or those that an added net was added with."""
    if only:
        st.selectbox("Images", [only], format_func=pickers.set_title, key="train_images_only", disabled=True, width=128)
        return only
    st.session_state["train_images"] = pickers.images()

    def changed() -> None:
        st.session_state["d"] = st.session_state["train_images"]

    st.selectbox("Images", pickers.sets(), format_func=pickers.set_title, key="train_images", on_change=changed, width=128)
    return st.session_state["train_images"]


def more(name: str, net: Run | None) -> tuple[int, int, str, int, int, Slot]:
    """Epochs, a limit on images, the device, how many of them and the reference, behind one button that says how many epochs.

    For an added net also how much smaller its learning rate shall be.
    """
    usual = recipe.RECIPES[name].epochs if net is None or untrained(net) else min(TUNING, recipe.RECIPES[name].epochs)
    key = f"t_epochs_{name}" if net is None else f"t_epochs_{name}_{usual}"
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
        slower = 1
        if net is not None:
            slower = st.segmented_control(
                "Learning rate", list(SLOWER), format_func=SLOWER.get, default=1 if untrained(net) else 10, required=True,
                key=f"t_slower_{untrained(net)}", help="Weights that have learned something are moved in smaller steps.",
            )  # fmt: skip
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
    return int(epochs or usual), int(limit or 0), device or "auto", int(gpus or 1), int(slower or 1), slot


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
    options, named = ["", *runs], pickers.names(list(runs.values()))
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
            format_func=lambda i: named.get(i, "Nothing"),
            key="ref",
            bind="query-params",
            help="A stored run, drawn as a dashed line.",
        )
    return runs.get(chosen or "")


with states.guard():
    if study.chosen():
        study.page(pick_images)
    else:
        page()
