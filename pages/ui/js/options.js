// The option cards of the focused unit: buttons drawn by Python, a press is told back.
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".box")
  if (!box) return
  const had = parentElement.activeElement?.dataset?.letter
  if (box._html !== data.html) {
    box.innerHTML = data.html // made in Python from fixed words, numbers and reasons that were escaped there
    box._html = data.html
    if (had) box.querySelector(`[data-letter="${had}"]`)?.focus()
  }
  for (const button of box.querySelectorAll("button")) {
    button.onclick = () => {
      if (button.getAttribute("aria-disabled") === "true") return
      box._sent = (box._sent ?? 0) + 1
      setTriggerValue("act", { do: "set", unit: data.unit, letter: button.dataset.letter, n: box._sent })
    }
  }
}
