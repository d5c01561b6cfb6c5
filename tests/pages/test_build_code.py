"""The program of a net on Build: the text of the snippet itself, a file of it, and the trained weights that fit."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core.presets import resolve
from core.run import Run
from core.snippet import plain, with_timm
from core.spec import parse

Open = Callable[..., AppTest]


def test_build_shows_the_program_of_the_net_on_screen(opened: Open, shipped: list[Run]) -> None:
    app = opened("build", arch="vit-mini")
    app.button(key="build_code").click().run()
    assert not app.exception
    arch = resolve("vit-mini")
    assert app.code[0].value == plain(arch, 32, 10).strip() and app.code[0].language == "python"
    assert [tab.label for tab in app.tabs] == ["PyTorch", "timm"]
    assert app.code[1].value == with_timm(arch, 32, 10).strip()
    labels = [button.proto.label for button in app.get("download_button")]
    assert labels == ["net.py", "net.py", "Weights of ViT-mini, trained on Fashion-MNIST"]


def test_a_net_that_timm_does_not_have_is_shown_in_plain_pytorch_only(opened: Open) -> None:
    app = opened("build", arch="cccccc-cccccm")
    app.button(key="build_code").click().run()
    assert app.code[0].value == plain(parse("cccccc-cccccm"), 32, 10).strip()
    assert [tab.label for tab in app.tabs] == ["PyTorch"]
    assert [button.proto.label for button in app.get("download_button")] == ["net.py"]
