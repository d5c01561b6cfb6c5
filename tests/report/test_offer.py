"""The button on the page: what it offers, and that the file is made only when it is asked for."""

import pytest
from streamlit.testing.v1 import AppTest

from core import claims, report


def script(ids: list[str]) -> None:
    from core import store
    from pages.ui import report_offer

    report_offer._inside([store.find(run_id) for run_id in ids], ["F1"], "report")


def said(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def test_it_offers_the_nets_and_the_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "build", lambda *_: pytest.fail("made before it was asked for"))
    from core.report import gather

    ids = [run.id for run in gather.chosen((), "")][:2]
    app = AppTest.from_function(script, args=(ids,)).run()
    assert not app.exception
    [choice] = app.multiselect
    assert len(choice.options) == len(claims.CLAIMS) and choice.value == ["F1"]
    [button] = app.get("download_button")
    assert button.proto.label == "Download" and not button.proto.disabled
    assert "2 nets" in said(app)


def test_without_a_net_there_is_nothing_to_download() -> None:
    app = AppTest.from_function(script, args=([],)).run()
    assert not app.exception and app.get("download_button")[0].proto.disabled and "No net" in said(app)


def test_the_popover_is_drawn() -> None:
    def shut() -> None:
        from pages.ui import report_offer

        report_offer.offer([])

    app = AppTest.from_function(shut).run()
    assert not app.exception and not app.get("download_button")
