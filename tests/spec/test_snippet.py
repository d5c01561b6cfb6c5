"""Snippets: the text alone builds the same net, with the same names, counts and answers."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from core import data, exports, io, store
from core.__main__ import main
from core.errors import SpecError
from core.models import build
from core.models.timm_zoo import build as build_timm
from core.outline import Outline
from core.presets import PRESETS, resolve
from core.run import Run
from core.size import count
from core.snippet import plain, with_timm
from core.spec import STEMS, parse
from core.train.snapshot import load_weights, rounded
from core.zoo_names import PAPER


def made(text: str) -> dict:
    """What the text defines, in a namespace of its own; it is ASCII and names no place on a disk."""
    assert text.isascii() and text.endswith("\n") and max(map(len, text.splitlines())) <= 140
    assert "core" not in text.split() and "/home" not in text and "#?" not in text and "@" not in text.replace(" @ ", "")
    space: dict = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), space)
    return space


def spread(net: torch.nn.Module) -> torch.nn.Module:
    """Every weight and statistic away from its first value, so that each part matters to the answers."""
    dice = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                noise = torch.rand(value.shape, generator=dice)
                value.copy_(value + 0.3 * noise if value.dim() == 1 or "table" in name else value + 0.02 * (noise - 0.5))
    return net.eval()


def alike(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.isfinite().all()
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5 * max(1.0, float(ours.abs().max())))


def same(notation: str, size: int = 32, classes: int = 7) -> None:
    """The plain snippet of a net, and timm's where there is one, against the lab's own net."""
    arch = parse(notation)
    here = made(plain(arch, size, classes))
    counted = count(arch, size, classes)["parameters"]
    ours = build(arch, size, classes, seed=3)
    torch.manual_seed(3)
    theirs = here["Net"]()
    assert sum(p.numel() for p in theirs.parameters()) == counted
    first, drawn = ours.state_dict(), theirs.state_dict()
    assert list(first) == list(drawn)
    assert all(torch.equal(first[name], drawn[name]) for name in first), "the same seed draws the same first weights"
    theirs.load_state_dict(spread(ours).state_dict())
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = ours(x)
        alike(logits, theirs.eval()(x))
        if text := with_timm(arch, size, classes):
            there = made(text)
            assert sum(p.numel() for p in there["net"].parameters()) == counted
            there["net"].load_state_dict(there["renamed"](ours.state_dict()))
            alike(logits, there["net"].eval()(x))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.id)
def test_a_preset_is_the_same_net_as_a_program_of_its_own(preset) -> None:
    same(preset.notation, preset.image_size)
    text = plain(resolve(preset.id), preset.image_size, 10)
    assert preset.title in text and (len(text.splitlines()) <= 150)


@pytest.mark.parametrize(
    "notation",
    [
        "cbd-dbc/width=32,64/kernel=5,7",
        "bb-db-gtm/width=32,32,64/stem=conv3",
        "wsmlt-gswlmt/stem=patch2/width=32,64/heads=2,4/window=4/kernel=3,5/pos=rel",
        "wst-gst/stem=patch2/width=32,64/pos=none",
        "wst/stem=patch2/width=32/pos=abs/bias=0/dim_head=8",
        "lt-glt/stem=patch2/width=32,64/pos=none/kernel=5/dim_head=24/mlp=2",
        "ll/stem=patch8/width=32/kernel=3/pos=rel/heads=2",
        "cwsl-cmwl/msa=bottleneck/width=64,128/heads=2,4/dim_head=16/bias=0/pos=rel",
        "wml/msa=bottleneck/stem=patch2/width=64/pos=none",
        "wslm/msa=bottleneck/stem=conv3s2/width=64/pos=abs/heads=4",
        "xpt-gxp/stem=patch2/width=32,64/pos=abs",
        "cxptow-bpxot/stem=conv7/width=32,64/pos=abs",
        "mtmt/stem=patch4/width=64/head=cls",
        "mtot/stem=conv2/width=64/head=cls/pos=none/dim_head=8",
        "mmt/stem=conv2/width=64/head=cls/pos=abs/bias=0/mlp=3",
        "ccp/stem=conv2/width=48/stem_width=16",
        "pp/stem=patch1/width=16",
        "tt/stem=patch16/width=16/pos=none",
        "bb-bob/stem=conv7/stem_width=16/width=64,96",
        "bobb-bo/stem=conv3s2/stem_width=16/width=64,64",
        "m/stem=patch4/width=32/heads=2/pos=rel",
        "d/stem=conv3s2",
        "cm/stem=conv3s2/window=16/pos=none",
    ],
)
def test_every_letter_and_option_is_the_same(notation: str) -> None:
    same(notation)


@st.composite
def notations(draw) -> str:
    """A net of any letters and options; some cannot be built."""
    stages = draw(st.integers(1, 2))
    letters = [draw(st.text("cbdmwslxtpo", min_size=1, max_size=4)) for _ in range(stages)]
    letters = [letters[0]] + [draw(st.sampled_from("cbdg")) + group for group in letters[1:]]
    parts = ["-".join(letters), f"stem={draw(st.sampled_from([*STEMS][1:]))}"]
    parts.append("width=" + ",".join(draw(st.sampled_from(["32", "64"])) for _ in range(stages)))
    parts.append(f"heads={draw(st.sampled_from([1, 2, 4]))}")
    parts.append(f"window={draw(st.sampled_from([2, 4, 8]))}")
    parts.append(f"kernel={draw(st.sampled_from([3, 5, 9]))}")
    parts.append(f"pos={draw(st.sampled_from(['abs', 'rel', 'none']))}")
    extra = ["mlp=2", "bias=0", "msa=bottleneck", "dim_head=16", "stem_width=16", "head=cls"]
    return "/".join(parts + draw(st.lists(st.sampled_from(extra), unique=True, max_size=3)))


@given(notations())
@settings(max_examples=40)
def test_any_net_is_the_same(notation: str) -> None:
    try:
        count(parse(notation), 32, 7)
    except SpecError:
        return
    same(notation)


@pytest.mark.parametrize(
    "notation",
    [
        "cc-cc",
        "mtmt/stem=patch4/width=64/pos=rel",
        "mt-gmt/stem=patch4/width=64,64",
        "wtwt/stem=patch4/width=64",
        "bb/stem=conv3/width=64",
        "bc/stem=conv3/stem_width=16/width=64",
        "mtx/stem=patch4/width=64",
    ],
)
def test_timm_is_only_named_where_it_has_the_same_net(notation: str) -> None:
    assert with_timm(parse(notation), 32, 10) == ""


def test_timm_has_the_papers_own_nets() -> None:
    named = {preset.id for preset in PRESETS.values() if with_timm(resolve(preset.id), preset.image_size, 10)}
    assert named == {"vit-mini", "vit-ti", "preresnet-50", "preresnet-50-3464"}


def test_a_net_that_does_not_fit_is_refused_in_words() -> None:
    for write in (plain, with_timm):
        with pytest.raises(SpecError, match="pixels do not divide"):
            write(parse("mt/stem=patch16"), 40, 10)


@pytest.mark.parametrize(("name", "size"), [("resnet10t", 32), ("vit_tiny_patch16_224", 32), *((name, 32) for name in PAPER)])
def test_an_imported_net_is_the_same_with_timm(name: str, size: int) -> None:
    net = build_timm(name, image_size=size, classes=20)
    outputs, parameters = (3, 0, 17), sum(p.numel() for p in net.parameters())
    outline = Outline(
        name=f"timm:{name}", image_size=size, units=tuple(net.units), parameters=parameters, flops=1, level=net.level, scores=20,
        outputs=outputs, weights="published",
    )  # fmt: skip
    text = with_timm(outline, size, 3)
    there = made(text)
    assert f"{parameters:,} parameters" in text and there["outputs"] == list(outputs)
    spread(net)
    there["net"].load_state_dict({key.removeprefix("model."): value for key, value in net.state_dict().items()})
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alike(net(x), there["net"].eval()(x))


# ---- on the command line, and with weights


def test_describe_prints_the_program_and_nothing_else(capsys) -> None:
    assert main(["describe", "alternet-mini", "--classes", "7", "--code"]) == 0
    assert capsys.readouterr().out == plain(resolve("alternet-mini"), 32, 7)
    assert main(["describe", "vit-ti", "--classes", "100", "--timm", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == with_timm(resolve("vit-ti"), 32, 100)
    assert main(["describe", "alternet-mini", "--timm"]) == 1
    assert "timm has no net like ccwccw-ccmccm" in capsys.readouterr().err


@pytest.fixture
def run(home) -> Run:
    """A finished run of a small net, its weights as training stores them."""
    made = Run(arch="cs-cmt/width=32,64/window=4", data="fashion", recipe={})
    net = spread(build(made.plan, made.image_size, made.classes, seed=1))
    io.write_atomic(store.create(made) / "weights" / "end.safetensors", rounded(net))
    io.write_json(store.folder(made.id) / "final.json", {"accuracy": 0.1})
    return made


def expected(run: Run, x: torch.Tensor) -> torch.Tensor:
    net = build(run.plan, run.image_size, run.classes)
    load_weights(net, store.weights(run.id))
    with torch.no_grad():
        return net.eval()(x)


def test_exported_weights_fit_the_program_that_describe_prints(run, tmp_path, capsys) -> None:
    assert main(["export", run.id, "--to", str(tmp_path / "out"), "--format", "safetensors"]) == 0
    path = tmp_path / "out" / f"{run.id}.safetensors"
    assert capsys.readouterr().out.strip() == str(path)
    assert main(["describe", run.id, "--code"]) == 0
    net = made(capsys.readouterr().out)["Net"]()
    state = load_file(path)
    assert {t.dtype for t in state.values()} == {torch.float32, torch.int64}
    net.load_state_dict(state)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        alike(expected(run, x), net.eval()(x))
    with safe_open(path, "pt") as file:
        facts = file.metadata()
    assert facts["run"] == run.id and json.loads(facts["mean"]) == list(data.get("fashion").mean)
    assert json.loads(facts["classes"])[0] == data.get("fashion").classes[0]


def test_an_unfinished_run_is_not_exported(run, tmp_path, capsys) -> None:
    (store.folder(run.id) / "final.json").unlink()
    for kind in exports.FORMATS:
        assert main(["export", run.id, "--to", str(tmp_path / "out"), "--format", kind]) == 1
        assert "is not finished" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_onnx_says_what_it_needs(run, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(exports, "NEEDED", ("onnx_that_is_not_there", "json"))
    assert main(["export", run.id, "--to", str(tmp_path / "out"), "--format", "onnx"]) == 1
    said = "PyTorch needs onnx_that_is_not_there, which is not installed: pip install onnx_that_is_not_there"
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_onnx_gives_the_same_answers_for_any_batch(run, tmp_path) -> None:
    for name in exports.NEEDED:
        pytest.importorskip(name)
    path = exports.write(run.id, "onnx", tmp_path)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        x = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        (found,) = session.run(["logits"], {"images": x.numpy()})
        alike(expected(run, x), torch.from_numpy(found))
