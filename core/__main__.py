"""`python -m core`: everything the app does, without a browser.

Every command takes --json (one JSON object on stdout, progress on stderr).  Exit 0 done, 1 failed with a plain
sentence, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import LabError
from core.recipe import Recipe

if TYPE_CHECKING:
    from core.run import Run

DATA_ACTIONS = {
    "list": "all sets of images",
    "get": "fetch one of the known sets",
    "add": "import a folder of pictures, one subfolder a class, or a zip of one",
    "remove": "delete an imported set",
}
JOB_ACTIONS = {
    "list": "all jobs, newest first",
    "show": "one job and its attempts",
    "cancel": "stop it, or take it out of the line",
    "resume": "run a failed or cancelled one again, from what it saved",
    "tail": "the end of its log",
    "priority": "its place in the line: -1000 to 1000, higher goes first",
    "serve": "start and watch the jobs of this data folder until told to stop",
}


class Console:
    """A listener that draws one progress line on stderr and stops at Ctrl-C."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet, self.begun, self.stop, self.first = quiet, time.monotonic(), False, None

    def stops(self) -> None:
        """From now on Ctrl-C asks to stop, and nothing is lost."""
        import signal

        signal.signal(signal.SIGINT, lambda *_: setattr(self, "stop", True))

    def progress(self, step: int, total: int, message: str = "", **_: float) -> None:
        """Bar, share, message, time left."""
        if self.quiet:
            return
        now = time.monotonic()
        self.first = self.first or (step, now)
        done = step - self.first[0]
        left = (now - self.first[1]) / done * (total - step) if done else 0
        filled = int(24 * step / max(1, total))
        tail = f" · {left:,.0f} s left" if done and step < total else ""
        end = "\r" if sys.stderr.isatty() and step < total else "\n"
        if end == "\r" or step == total or done == 0 or step * 20 // total != getattr(self, "_mark", -1):
            self._mark = step * 20 // max(1, total)
            share = f"{100 * step / max(1, total):3.0f} %"
            print(f"{'━' * filled}{'─' * (24 - filled)} {share}  {message}{tail}   ", end=end, file=sys.stderr, flush=True)

    def metric(self, row: dict) -> None:
        """One line an epoch."""
        if not self.quiet:
            print(
                f"epoch {row['epoch']}: loss {row['train_loss']:.3f}, test accuracy {100 * row['accuracy']:.2f} % on {row['n_test']}, "
                f"NLL {row['test_nll']:.3f}, {row['images_per_s']:,.0f} images/s   ",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    def cancelled(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.stop


def describe(args: argparse.Namespace) -> dict:
    """Parameters, FLOPs and units of an architecture, or of a stored run; or the program that builds it."""
    from core import snippet, store
    from core.outline import Outline
    from core.presets import resolve
    from core.size import count
    from core.spec import layout

    run = next((known for known in store.list_runs() if known.id == args.spec), None)
    arch = run.plan if run else resolve(args.spec)
    size, classes = (run.image_size, run.classes) if run else (args.image_size, args.classes)
    counted = count(arch, size, classes)
    units = [
        {"stage": u.stage, "index": u.index, "kind": u.kind, "form": u.form, "depth": round(u.depth, 6), "resampling": u.resampling,
         "side": u.side, "width": u.width}
        for u in layout(arch, size) if u.kind != "none"
    ]  # fmt: skip
    answer = {**counted, "units": units, "notation": arch.notation}
    if args.code or args.timm:
        timm = args.timm or isinstance(arch, Outline)  # an imported net is timm's
        answer["code"] = snippet.with_timm(arch, size, classes) if timm else snippet.plain(arch, size, classes)
        if not answer["code"]:
            raise LabError(f"timm has no net like {arch.notation}; --code alone writes it in plain PyTorch.")
        print_unless(args, answer["code"].rstrip("\n"))
        return answer
    said = f"{counted['parameters'] / 1e6:.2f} M parameters, {counted['flops'] / 1e6:.1f} MFLOP an image, {len(units)} units"
    print_unless(args, f"{arch.notation}\n{said}")
    return answer


def asked_run(args: argparse.Namespace) -> Run:
    """The run that `train` with these arguments makes."""
    from core import data, recipe
    from core.params import parse as settings
    from core.presets import name_of, resolve
    from core.run import Run

    arch, spec = resolve(args.arch), data.get(args.data)
    changes = asdict(settings(Recipe, dict(pairs(args.set)))) if args.set else {}
    changes = {name: changes[name] for name, _ in pairs(args.set)}
    if args.epochs:
        changes["epochs"] = args.epochs
    chosen = recipe.get(args.recipe, **changes)
    return Run(
        arch=arch.notation, data=spec.id, recipe=asdict(chosen), seed=args.seed, fraction=args.fraction, limit=args.limit,
        image_size=args.image_size or spec.image_size, classes=len(spec.classes), name=args.name or name_of(arch.notation),
    )  # fmt: skip


def train(args: argparse.Namespace) -> dict:
    """Train one net here and now."""
    from core import store

    run = asked_run(args)
    if run.id in {known.id for known in store.list_runs()} and (final := store.final(run.id)):
        print_unless(args, f"{run.id} is trained already: {100 * final['accuracy']:.2f} %.")
        return {"run": run.id, "folder": str(store.folder(run.id)), **final}
    folder = store.create(run)
    import torch

    from core.io import threads
    from core.jobs import Cancelled
    from core.train.loop import train as work

    torch.set_num_threads(threads())
    console = Console(args.json and not sys.stderr.isatty())
    console.stops()
    print(run.id, file=sys.stderr)
    try:
        final = work(run, folder, console, device=args.device, compile=args.compile)
    except Cancelled:
        raise LabError(f"Stopped. {run.id} is kept; the same command goes on from there.") from None
    print_unless(args, f"{run.id}: {100 * final['accuracy']:.2f} % of {final['n_test']} test images in {final['seconds']:.0f} s")
    return {"run": run.id, "folder": str(folder), **final}


def runs(args: argparse.Namespace) -> dict:
    """List trained and unfinished runs."""
    from core import store

    rows = []
    for run in store.list_runs():
        final = store.final(run.id)
        rows.append({"run": run.id, "name": run.name, "shipped": store.is_shipped(run.id), "accuracy": final and final["accuracy"]})
        share = f"{100 * final['accuracy']:6.2f} %" if final else "unfinished"
        print_unless(args, f"{run.id:60} {share:>10}  {'shipped' if store.is_shipped(run.id) else ''}")
    return {"runs": rows}


def measure(args: argparse.Namespace) -> dict:
    """Measure one run with one or several analyses, or show the stored answers; those that can share one forward pass."""
    import torch

    from core import analyses, store
    from core.io import threads
    from core.params import parse as settings

    torch.set_num_threads(threads())
    given, asks, names = dict(pairs(args.set)), {}, args.analysis
    if names == ["all"]:
        run = store.find(args.run_id)
        names = [analysis.id for analysis in analyses.catalogue().values() if not analyses.refusal(analysis, run)]
    for name in names:
        params = analyses.get(name).params
        known = {f.name for f in fields(params)}
        held = {key: value for key, value in given.items() if key in known or len(names) == 1}
        asks[name] = asdict(settings(params, held, LabError))
    if odd := [key for key in given if not any(key in chosen for chosen in asks.values())]:
        raise LabError(f"None of {', '.join(asks)} has a setting {odd[0][:40]!r}.")
    console = Console(args.json and not sys.stderr.isatty())
    found = analyses.measure_together(args.run_id, asks, device=args.device, progress=console.progress, shipped=args.shipped)
    answers = {}
    for name, result in found.items():
        print_unless(args, result.table.to_string(max_rows=60))
        answers[name] = {"manifest": result.manifest, "table": json.loads(result.table.to_json(orient="records", double_precision=12))}
    return answers[names[0]] if len(names) == 1 else {"results": answers}


def import_net(args: argparse.Namespace) -> dict:
    """Take in a net that was made elsewhere."""
    import torch

    from core import imports, store
    from core.io import threads

    torch.set_num_threads(threads())
    given = Path(args.net).expanduser()
    is_file = given.is_file()
    name = args.arch or (imports.recognised(given.name) if is_file else args.net)
    if not name:
        raise LabError(f"{given.name} does not say which net it is of: give its timm name with --arch, for example --arch resnet18.")
    run = imports.take_in(
        name, args.data, weights=str(given) if is_file else args.weights, published=args.published, new_head=args.new_head,
        image_size=args.image_size, seed=args.seed, label=args.name, device=args.device,
        progress=Console(args.json and not sys.stderr.isatty()).progress,
    )  # fmt: skip
    final = store.final(run.id) or {}
    raw = f" ({100 * final['raw_accuracy']:.2f} % among all {final['raw_of']:,} classes)" if "raw_accuracy" in final else ""
    right = f"{100 * final['accuracy']:.2f} % of {final['n_test']:,} test images{raw}"
    print_unless(args, f"{run.id}: {right}; weights: {run.outline['weights']}")
    if run.outline["why"]:
        print_unless(args, run.outline["why"])
    return {"run": run.id, "level": run.outline["level"], "why": run.outline["why"], **final}


def export(args: argparse.Namespace) -> dict:
    """Copy a finished run and its results into a folder, or write its net as one file for other programs."""
    from core import exports, store

    if args.format == "run":
        place = store.export(args.run_id, Path(args.to), [] if args.no_weights else args.phase or ["end"])
        print_unless(args, str(place))
        return {"run": args.run_id, "folder": str(place)}
    if odd := "--phase" if args.phase else "--no-weights" if args.no_weights else "":
        raise LabError(f"{odd} goes with the whole run; --format {args.format} writes the weights at the end of training.")
    path = exports.write(args.run_id, args.format, Path(args.to))
    print_unless(args, str(path))
    return {"run": args.run_id, "file": str(path)}


def list_analyses(args: argparse.Namespace) -> dict:
    """List the analyses."""
    from core.analyses import catalogue

    for a in catalogue().values():
        print_unless(args, f"{a.id:12} {a.question}")
    return {"analyses": [{"id": a.id, "title": a.title, "question": a.question, "version": a.version} for a in catalogue().values()]}


def study(args: argparse.Namespace) -> dict:
    """Train, measure and judge a family of nets that differ in one thing; without a name, list the studies."""
    from core.studies._command import run

    return run(args, Console(args.json and not sys.stderr.isatty()))


def claims_command(args: argparse.Namespace) -> dict:
    """Judge the paper's claims on what is stored."""
    from core import claims, words

    found = [claims.to_json(verdict) for verdict in claims.judge(args.run_ids, args.only)]
    for i, row in enumerate(found):
        if not i or row["data"] != found[i - 1]["data"]:
            print_unless(args, f"{row['data']}\n")
        numbers = "" if row["effect"] is None else words.plain(row["effect"])
        numbers += "" if row["low"] is None or row["high"] is None else f" ({words.plain(row['low'])} to {words.plain(row['high'])})"
        print_unless(args, f"{row['id']:4} {row['verdict']:13} {numbers:>24} {row['unit']:6} {row['title']}\n     {row['reason']}\n")
    return {"claims": found}


def report_command(args: argparse.Namespace) -> dict:
    """Write chosen nets and claims, their figures and all their numbers into one HTML file."""
    from core.report import command

    return command.run(args, Console(args.json and not sys.stderr.isatty()).progress)


def data_command(args: argparse.Namespace) -> dict:
    """List image sets, fetch one, import pictures of one's own, or remove those."""
    from core import data

    if args.action == "get":
        if not args.id:
            raise LabError("Say which images to get, for example: python -m core data get cifar10")
        data.fetch(args.id, Console(args.json).progress)
        print_unless(args, f"{args.id} is there.")
        return {"id": args.id, "available": True}
    if args.action in ("add", "remove"):
        return (add_images if args.action == "add" else remove_images)(args)
    from core.data import imported

    for d in data.DATASETS.values():
        why = data.available(d.id)
        print_unless(args, f"{d.id:16} {d.title}: {d.train_n:,} + {d.test_n:,} images{' · ' + why if why else ''}")
    own = [imported.spec_of(imported.PREFIX + name) for name in imported.names()]
    for d in own:
        print_unless(args, f"{d.id:16} {d.title}: {d.train_n:,} + {d.test_n:,} images of {d.image_size} px, {len(d.classes)} classes")
    for name in imported.unfinished():
        print_unless(args, f"{name:16} import not finished: the same `data add` goes on, `data remove {name}` drops it")
    listed = [{**asdict(d), "available": not data.available(d.id)} for d in data.DATASETS.values()]
    return {"datasets": listed + [{**asdict(d), "available": True} for d in own], "unfinished": imported.unfinished()}


def add_images(args: argparse.Namespace) -> dict:
    """Import a folder or a zip file of pictures, and say what was left out."""
    from core.data import importing
    from core.params import parse as settings

    if not args.id:
        raise LabError("Say which pictures to import: python -m core data add FOLDER_OR_ZIP --name NAME")
    chosen = settings(importing.Import, dict(pairs(args.set)))
    try:
        made = importing.add(args.id, args.name, chosen, Console(args.json and not sys.stderr.isatty()).progress)
    except KeyboardInterrupt:
        raise LabError("Stopped. The same command goes on from there.") from None
    for row in [row for row in made["rows"] if row["outcome"] == "left out"][:20]:
        print_unless(args, f"left out: {row['file']} {row['words']}")
    for outcome in ("left_out", "changed"):
        for reason, n in made[outcome].items():
            print_unless(args, f"{n:,} {outcome.replace('_', ' ')}: {reason}")
    size = f"{len(made['classes'])} classes at {made['image_size']} px"
    print_unless(args, f"{made['id']}: {made['train_n']:,} + {made['test_n']:,} images of {size}")
    return made


def remove_images(args: argparse.Namespace) -> dict:
    """Delete a set that was imported, or what is left of an import that was stopped."""
    from core.data import imported

    if not args.id:
        raise LabError("Say which set of your own to remove: python -m core data remove NAME")
    name = args.id.removeprefix(imported.PREFIX).partition("@")[0]
    using = imported.remove(name, args.force)
    print_unless(args, f"{name} is removed.{' Its images are missing now to ' + ', '.join(using) + '.' if using else ''}")
    return {"removed": name, "runs": using}


def jobs_command(args: argparse.Namespace) -> dict:
    """List, show, cancel, resume, follow, move or serve background jobs."""
    from core.jobs import command

    return command.run(args)


def worker(args: argparse.Namespace) -> dict | None:
    """Run the job in a folder (started by the queue, not by hand)."""
    from core.worker import main as work

    raise SystemExit(work(Path(args.folder)))


def live(args: argparse.Namespace) -> dict | None:
    """Answer the app's live questions (started by the app, not by hand)."""
    from core.answers import main as work

    raise SystemExit(work())


def pairs(items: Sequence[str]) -> list[tuple[str, str]]:
    """`name=value` arguments, split; LabError for one without `=`."""
    for item in items:
        if "=" not in item:
            raise LabError(f"--set takes name=value, not {item[:40]!r}.")
    return [(i.partition("=")[0], i.partition("=")[2]) for i in items]


def print_unless(args: argparse.Namespace, text: str) -> None:
    """Print for people, not for programs."""
    if not args.json:
        print(text)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m core", description="AlterLab on the command line.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--json", action="store_true", help="one JSON object on stdout")
        sub.set_defaults(run=run)
        return sub

    p = command("describe", describe, "Parameters, FLOPs and units of a net, or the program that builds it without the lab.")
    p.add_argument("spec", metavar="NET", help="a preset id, a notation such as ccwccw-ccmccm, or the id of a run")
    p.add_argument("--image-size", type=int, default=32, help="of a run, its own")
    p.add_argument("--classes", type=int, default=10, help="of a run, its own")
    p.add_argument("--code", action="store_true", help="print it as a program in plain PyTorch; of an imported net, with timm")
    p.add_argument("--timm", action="store_true", help="print it as a program with timm, where timm has the same net")
    p = command("train", train, "Train a net; the same command goes on where it stopped.")
    p.add_argument("--arch", required=True, help="a preset id or a notation")
    p.add_argument("--data", default="fashion")
    p.add_argument("--recipe", default="quick")
    p.add_argument("--epochs", type=int, default=0, help="0 keeps the recipe's")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--fraction", type=float, default=1.0)
    p.add_argument("--limit", type=int, default=0, help="at most so many training images")
    p.add_argument("--image-size", type=int, default=0, help="0 keeps the data set's")
    p.add_argument("--device", default="auto")
    p.add_argument("--compile", action="store_true", help="torch.compile: worth it for runs of an hour and more")
    p.add_argument("--name", default="", help="label on screen")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of the recipe")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "fields for --set, with the value in quick and where it comes from:\n" + "\n".join(
        f"  {f.name} = {f.default!r}: {f.metadata['label']}. {f.metadata['origin']}." for f in fields(Recipe)
    )
    command("runs", runs, "List runs.")
    command("analyses", list_analyses, "List analyses.")
    p = command("study", study, "Train, measure and judge a family of nets that differ in one thing.")
    p.add_argument("name", metavar="NAME", nargs="?", default="", help="which; all are listed if not given")
    p.add_argument("--size", choices=("mini", "full"), default="mini", help="mini: minutes a net on a laptop; full: the paper's nets")
    p.add_argument("--data", default="fashion", help="images to train on")
    p.add_argument("--seeds", type=int, default=0, help="0: as many as the size has")
    p.add_argument("--device", default="auto")
    p.add_argument("--plan", action="store_true", help="only say what it would take, and what is known already")
    p = command("claims", claims_command, "Judge the paper's claims on what is stored; nothing is trained or measured.")
    p.add_argument("run_ids", nargs="*", metavar="RUN", help="judge these runs; all finished ones if none is given")
    p.add_argument("--only", nargs="+", default=[], metavar="CLAIM", help="only these claims, for example F1 V1")
    p = command("report", report_command, "Write nets, verdicts, figures and all numbers into one HTML file that opens without a network.")
    p.add_argument("run_ids", nargs="*", metavar="RUN", help="report these runs; those that came with the lab if none is given")
    p.add_argument("-o", "--out", required=True, metavar="FILE", help="the file that is written, for example report.html")
    p.add_argument("--claims", default="", metavar="CLAIM,…", help="judge only these claims, for example F1,V1")
    p.add_argument("--data", default="", help="only nets that were trained on this set of images")
    p = command("measure", measure, "Measure a run; the same question is answered from the store.")
    p.add_argument("run_id", metavar="RUN")
    p.add_argument("analysis", nargs="+", help="one or several, as `analyses` lists them; all: every one that applies to the net")
    p.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    p.add_argument("--device", default="auto")
    p.add_argument("--shipped", action="store_true", help=argparse.SUPPRESS)
    p = command("import-net", import_net, "Take in a net that was made elsewhere: any of timm's by name, or a file of its weights.")
    p.add_argument("net", metavar="NAME_OR_FILE", help="a timm name (resnet18), a net of the paper (paper-vit-ti), or a file of weights")
    p.add_argument("--data", default="fashion", help="the images that it is tested and measured on")
    p.add_argument("--arch", default="", help="with a file: the timm name of its net")
    p.add_argument("--weights", default="", metavar="FILE", help=".safetensors, .pth, .pt, .pth.tar or .bin; random weights if not given")
    p.add_argument("--published", action="store_true", help="fetch the weights that its authors published")
    p.add_argument("--new-head", action="store_true", help="a random classifier in the place of one for other classes, to be fine-tuned")
    p.add_argument("--image-size", type=int, default=0, help="0 keeps the data set's")
    p.add_argument("--seed", type=int, default=0, help="of random weights")
    p.add_argument("--name", default="", help="label on screen")
    p.add_argument("--device", default="auto")
    p = command("export", export, "Copy a finished run, its weights and results into a folder; or write its net as one file.")
    p.add_argument("run_id", metavar="RUN")
    p.add_argument("--to", required=True, help="the folder that the run's own folder, or the file, goes into")
    p.add_argument(
        "--format", choices=("run", "safetensors", "onnx"), default="run",
        help="run: all of it; safetensors: the weights in fp32, named as in `describe RUN --code`; onnx: the net, from images to logits",
    )  # fmt: skip
    which = p.add_mutually_exclusive_group()
    which.add_argument("--phase", action="append", default=[], help="weights to take along; end if not given")
    which.add_argument("--no-weights", action="store_true", help="take results alone: they can be looked at, not measured again")
    p = command("data", data_command, "List image sets, get one, or bring your own.")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "actions:\n" + "\n".join(f"  {name:7} {words}" for name, words in DATA_ACTIONS.items())
    p.add_argument("action", choices=tuple(DATA_ACTIONS))
    p.add_argument("id", nargs="?", default="", help="a set's id; with add, the folder or zip file")
    p.add_argument("--name", default="", help="with add: the set's name; the folder's if not given")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="with add: image_size, test_share, seed, crop, …")
    p.add_argument("--force", action="store_true", help="with remove: also a set that runs use")
    p = command("jobs", jobs_command, "Background jobs.")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "actions:\n" + "\n".join(f"  {name:9} {words}" for name, words in JOB_ACTIONS.items())
    p.add_argument("action", choices=tuple(JOB_ACTIONS), metavar="ACTION", nargs="?", default="list", help="list if not given")
    p.add_argument("id", metavar="ID", nargs="?", default="", help="a job's id, as list shows it")
    p.add_argument("priority", metavar="N", nargs="?", type=int, help="only for priority")
    p.add_argument("--follow", action="store_true", help="with tail: print what is added, until the job has ended")
    p = command("worker", worker, "Run one job folder.")
    p.add_argument("folder")
    commands.add_parser("live").set_defaults(run=live, json=False)  # without a help text it is not listed
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed in words."""
    args = arguments().parse_args(argv)
    try:
        answer = args.run(args)
    except LabError as error:
        if args.json:
            print(json.dumps({"error": str(error)}))
        print(f"alterlab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    if args.json:
        print(json.dumps(answer, default=str))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
