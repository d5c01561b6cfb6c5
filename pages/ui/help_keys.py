"""Every key that works, page by page: the list of the help drawer; its shortcuts are those that the buttons are made with."""

from dataclasses import dataclass

#: shortcuts of the whole lab, as Streamlit's buttons take them
HELP, PRESENT, NEXT_PAGE, PREVIOUS_PAGE = "Ctrl+K", "Alt+P", "Alt+Shift+Right", "Alt+Shift+Left"
#: shortcuts while presenting; remote controls send the second of each pair
NEXT, PREVIOUS, LEAVE = ("Right", "PageDown"), ("Left", "PageUp"), "Esc"

#: how a key is written on screen
_SIGNS = {"Right": "→", "Left": "←", "Up": "↑", "Down": "↓", "PageDown": "Page ↓", "PageUp": "Page ↑"}


@dataclass(frozen=True, kw_only=True)
class Press:
    """Keys that do one thing; `page` is a file stem, "" for everywhere or "present"; `part` is what has to have the focus."""

    page: str
    part: str
    keys: tuple[str, ...]
    does: str


KEYS: tuple[Press, ...] = (
    Press(page="", part="", keys=(HELP,), does="Open this help"),
    Press(page="", part="", keys=(PRESENT,), does="Open the presentation drawer"),
    Press(page="", part="", keys=(NEXT_PAGE,), does="Next page"),
    Press(page="", part="", keys=(PREVIOUS_PAGE,), does="Previous page"),
    Press(page="", part="", keys=("Esc",), does="Close a drawer or a list"),
    Press(page="present", part="", keys=NEXT, does="Next view"),
    Press(page="present", part="", keys=PREVIOUS, does="Previous view"),
    Press(page="present", part="", keys=(LEAVE,), does="Leave the presentation"),
    Press(page="build", part="the ribbon", keys=("Right", "Down"), does="Next unit"),
    Press(page="build", part="the ribbon", keys=("Left", "Up"), does="Previous unit"),
    Press(page="build", part="the ribbon", keys=("Home", "End"), does="First, last unit"),
    Press(page="build", part="the ribbon", keys=("Space", "Enter"), does="Change the kind of the unit"),
    Press(page="build", part="the ribbon", keys=("Ctrl+Z",), does="Undo"),
    Press(page="lesion", part="the ribbon", keys=("Right", "Down"), does="Next unit"),
    Press(page="lesion", part="the ribbon", keys=("Left", "Up"), does="Previous unit"),
    Press(page="lesion", part="the ribbon", keys=("Home", "End"), does="First, last unit"),
    Press(page="lesion", part="the ribbon", keys=("L", "Space", "Enter"), does="Switch the unit off, or on again"),
    Press(page="lesion", part="the ribbon", keys=("Ctrl+Z",), does="Undo"),
    Press(page="landscape", part="the surface", keys=("Left", "Right"), does="Turn"),
    Press(page="landscape", part="the surface", keys=("Up", "Down"), does="Tilt"),
    Press(page="landscape", part="the surface", keys=("+", "-"), does="Nearer, farther"),
    Press(page="landscape", part="the surface", keys=("Home", "R"), does="As it was at first"),
    Press(page="lens", part="the slider", keys=("Right", "Up"), does="One step up"),
    Press(page="lens", part="the slider", keys=("Left", "Down"), does="One step down"),
    Press(page="lens", part="the slider", keys=("PageUp", "PageDown"), does="A tenth of the range up, down"),
    Press(page="lens", part="the slider", keys=("Home", "End"), does="To the lowest, to the highest"),
    Press(page="lens", part="the slider", keys=("N",), does="To the next flip"),
)


def written(key: str) -> list[str]:
    """A key or combination as it is shown, one sign a part: `Alt+Shift+Right` -> Alt, Shift, →."""
    if key in ("+", "-"):
        return ["+" if key == "+" else "−"]
    return [_SIGNS.get(part, part) for part in key.split("+")]
