// The editable ribbon.  The drawing comes from Python; here it is fitted to the width and listened to.
// Click or Space changes a unit, arrows move the focus, Ctrl+Z undoes; all of it is decided by Python.
const FADE = 120

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".box")
  if (!box) return

  const had = parentElement.activeElement ?? document.activeElement?.shadowRoot?.activeElement
  const hadFocus = Boolean(had && box.contains(had))
  const before = box._kinds ?? {}
  if (box._svg !== data.svg) {
    box.innerHTML = data.svg // made by core.ribbon from a parsed net: no text of a user in it
    box._svg = data.svg
  }
  const svg = box.querySelector("svg")
  const units = [...svg.querySelectorAll(".unit")]
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches
  box._kinds = Object.fromEntries(units.map((u) => [u.dataset.id, u.dataset.kind]))
  for (const unit of units) {
    const old = before[unit.dataset.id]
    if (old && old !== unit.dataset.kind && !still) {
      unit.querySelector(".m").animate([{ opacity: 0 }, { opacity: 1 }], { duration: FADE, easing: "ease-out" })
    }
  }

  const mark = (id, take) => {
    box._focus = id
    for (const unit of units) {
      const on = unit.dataset.id === id
      unit.classList.toggle("focused", on)
      unit.setAttribute("tabindex", on ? "0" : "-1")
      if (on && take) unit.focus()
    }
    if (!units.some((unit) => unit.dataset.id === id)) units[0]?.setAttribute("tabindex", "0")
  }
  mark(data.focus, hadFocus)

  let sent = box._sent ?? 0
  const tell = (what, id) => {
    sent += 1
    box._sent = sent
    setTriggerValue("act", { do: what, unit: id, n: sent })
  }
  const tellLater = (id) => {
    window.clearTimeout(box._timer)
    box._timer = window.setTimeout(() => tell("focus", id), 200)
  }

  const fit = () => {
    const width = Math.round(box.clientWidth)
    if (!width) return
    const full = Number(svg.dataset.width)
    const margin = Number(svg.dataset.margin)
    const stretch = (width - 2 * margin) / (full - 2 * margin)
    const place = (x) => (x <= margin ? x : x >= full - margin ? x + width - full : margin + (x - margin) * stretch)
    const height = Number(svg.getAttribute("height"))
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
    svg.setAttribute("width", width)
    let smallest = Infinity
    for (const part of svg.querySelectorAll(".at")) {
      const y = part.transform.baseVal[0].matrix.f
      part.transform.baseVal[0].setTranslate(place(Number(part.dataset.x)), y)
      const drawn = part.querySelector(".m")
      if (drawn) {
        const side = Number(drawn.dataset.side)
        const scale = Math.min(1, (Number(drawn.dataset.step) * stretch * 0.84) / side)
        drawn.setAttribute("transform", `scale(${scale})`)
        part.querySelector(".hit").setAttribute("transform", `scale(${scale})`)
        smallest = Math.min(smallest, side * scale)
      }
    }
    for (const line of svg.querySelectorAll(".span")) {
      line.setAttribute("x1", place(Number(line.dataset.x1)))
      line.setAttribute("x2", place(Number(line.dataset.x2)))
    }
    for (const end of svg.querySelectorAll("[data-end]")) end.setAttribute("x", width)
    box.classList.toggle("small", smallest < 24)
    box._small = smallest < 24
    for (const unit of units) unit.setAttribute("aria-disabled", String(box._small))
  }
  fit()
  box._watch?.disconnect()
  box._watch = new ResizeObserver(fit)
  box._watch.observe(box)

  for (const unit of units) {
    unit.onfocus = () => {
      if (box._focus !== unit.dataset.id) mark(unit.dataset.id, false)
    }
    unit.onclick = () => {
      window.clearTimeout(box._timer)
      mark(unit.dataset.id, true)
      if (box._small) return
      tell(unit.classList.contains("locked") ? "focus" : "flip", unit.dataset.id)
    }
  }
  svg.onkeydown = (event) => {
    const at = units.findIndex((unit) => unit.dataset.id === box._focus)
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -units.length, End: units.length }
    if (event.key in steps) {
      const next = Math.min(units.length - 1, Math.max(0, at + steps[event.key]))
      mark(units[next].dataset.id, true)
      tellLater(units[next].dataset.id)
    } else if ((event.key === " " || event.key === "Enter") && at >= 0) {
      window.clearTimeout(box._timer)
      if (!box._small) tell(units[at].classList.contains("locked") ? "focus" : "flip", units[at].dataset.id)
    } else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      tell("undo", box._focus ?? "")
    } else {
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }

  return () => box._watch?.disconnect()
}
